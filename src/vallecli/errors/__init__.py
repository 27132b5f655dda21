"""All errors that users can meet: a message, a hint that says what to do next, and the exit code for scripts.

VallecliError                       1  a bug, or nothing more specific is known
├── UsageError                      2  contradictory or unknown arguments
│   ├── CannotContinue                 from a prompt whose words the checkpoint does not read
│   ├── RegistryError                  in a list of checkpoints
│   └── PolicyError                    a setting that the system-wide policy forbids
├── InputError                      3  a file or a text that cannot be used
│   ├── AudioError                     recordings
│   │   ├── AudioNotFound
│   │   ├── NotAudio
│   │   ├── PromptTooShort
│   │   ├── PromptTooLong              to use all of its transcript
│   │   ├── SilentPrompt
│   │   └── DamagedAudio               NaN, infinite or absurd samples
│   ├── TextError                      texts
│   │   ├── EmptyText
│   │   │   └── ForeignText            only letters that an English checkpoint cannot read
│   │   ├── MarkupError                pauses and SSML
│   │   ├── NoContinuation             of the words of the prompt
│   │   ├── NothingSpoken              the model generated no speech for it
│   │   ├── TranscriptMissing          for checkpoints that need the words of the prompt
│   │   ├── EmptyTranscript
│   │   └── TextEncodingError
│   ├── PresetError                    published voice presets
│   ├── ForeignPreset
│   ├── VoiceError                     the library of voices
│   │   ├── InvalidVoiceName
│   │   ├── UnknownVoice
│   │   ├── VoiceExists
│   │   ├── DamagedVoice
│   │   ├── ConsentMissing                 which a policy requires
│   │   └── ConsentRefused                 a statement that was not accepted
│   ├── TableError                     a CSV or JSONL file as a whole
│   │   ├── UnknownColumn
│   │   └── PromptColumnMissing
│   ├── SubtitleError                  a file of subtitles, or a line of it
│   │   └── OverlappingCues
│   ├── ScriptError                    a dialogue, or a line of it
│   ├── CastError                      the voices of its speakers
│   ├── FilmError                      a film that a track cannot be added to
│   ├── DocumentError                  books
│   │   ├── DocumentNotFound
│   │   ├── UnknownDocument                of a format that is not read
│   │   ├── EncryptedDocument
│   │   ├── DamagedDocument
│   │   ├── DocumentTooLarge
│   │   └── EmptyDocument
│   ├── SigningError                   certificates and keys
│   ├── RowError                       one row of it
│   │   ├── DuplicateRow
│   │   └── UnsafeName                     of an output
│   └── OutputError                    outputs
│       ├── OutputExists
│       ├── OutputNotWritable
│       ├── FolderInUse                    of a batch, by another run
│       ├── ForeignResults                 results.jsonl of another program
│       ├── FolderGone                     removed during the run
│       └── FolderNotWritable
├── CheckpointError                 4  missing, damaged or offline
│   ├── UnknownCheckpoint
│   ├── MissingCheckpoint              known, but not on this machine
│   ├── UnknownFormat                  of no family that valle reads
│   ├── DamagedCheckpoint
│   ├── NotFinite                      its numbers overflow
│   └── SourceError                    a server that did not deliver the files
│       ├── SourceGone
│       ├── AccessDenied
│       └── Unreachable
├── DeviceError                     5  no such device, or out of memory
│   ├── OutOfMemory
│   ├── PlayerError                    the audio player failed
│   └── WorkerLost                     of a cluster
├── RowsFailed                      6  rows of a batch; all others are done
├── NotMarked                       7  files without a watermark, in valle detect
└── DependencyMissing               7  an optional package or program is not installed
    ├── ExtraMissing                   Python packages of an extra
    ├── EspeakMissing
    ├── PlayerMissing
    └── WatermarkMissing               the package of the watermark
        └── DamagedWatermark

Ctrl-C exits with 130. Each class is in the module of its exit code: base (1 and 2), inputs and outputs (3),
checkpoints (4), machine (5 to 7). This package imports no other module of vallecli. Hints name no command-line option:
the command line adds those (cli/hints.py).
"""

from vallecli.errors.base import *
from vallecli.errors.checkpoints import *
from vallecli.errors.inputs import *
from vallecli.errors.libraries import *
from vallecli.errors.machine import *
from vallecli.errors.outputs import *
