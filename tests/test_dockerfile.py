"""The Dockerfile builds an image that speaks.

Where docker works, the image is built and run. Everywhere, the Dockerfile's own instructions are also carried out as a
script, without docker, network or root: each stage is a temporary folder, COPY reads the build context as .dockerignore
leaves it, and the RUN instructions that use pip run in a virtual environment that finds the dependencies installed
here. RUN instructions that change the system (apt-get, useradd) are skipped.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import venv
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest
import soundfile

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "examples" / "reference.wav"
SPEAK = ("speak", "--text", "Hello there.", "--seed", "1", "--prompt")
RUNS = {"pip", "python", "grep"}  # programs of RUN instructions that are carried out
SKIPPED = {"apt-get", "rm", "useradd", "install"}  # programs of RUN instructions that change the system
PIP = """\
#!/bin/sh
# pip without a network, which builds with the hatchling that is installed
command=$1
shift
exec {python} -m pip "$command" --no-index --no-build-isolation --disable-pip-version-check "$@"
"""


def instructions() -> list[tuple[str, str]]:
    """Return each instruction of the Dockerfile and its arguments, continuation lines joined."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", text)
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def in_context(path: PurePosixPath) -> bool:
    """Return whether .dockerignore leaves a path in the build context: the last pattern that matches decides."""
    inside = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line.startswith("#"):
            continue
        if any(fnmatch.fnmatch(str(part), pattern) for part in (path, *path.parents[:-1])):
            inside = line.startswith("!")
    return inside


def context_files(source: str) -> list[PurePosixPath]:
    """Return the files of the build context at a path: one file, or all files of a folder."""
    top = ROOT / source
    found = [top] if top.is_file() else [path for path in top.rglob("*") if path.is_file()]
    relative = [PurePosixPath(path.relative_to(ROOT).as_posix()) for path in found]
    return [path for path in relative if in_context(path)]


@dataclass
class Stage:
    """A build stage: `root` stands for its file system."""

    root: Path
    workdir: PurePosixPath = field(default_factory=lambda: PurePosixPath("/"))
    args: dict[str, str] = field(default_factory=dict)  # of the build alone
    env: dict[str, str] = field(default_factory=dict)
    user: str = "root"
    volumes: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)

    def path(self, path: str) -> Path:
        """Return where a path of the image is here."""
        return self.root / (self.workdir / path).relative_to("/")

    def copy(self, sources: list[str], target: str, stages: dict[str, Stage], origin: str | None) -> None:
        """Carry out COPY, or what RUN --mount=type=bind makes visible."""
        for source in sources:
            if origin is None:
                files = [(ROOT / path, path) for path in context_files(source)]
            else:
                top = stages[origin].path(source)
                files = [(path, path.relative_to(stages[origin].root)) for path in top.rglob("*")]
            assert files, f"COPY {source}: there is no such file in the build context"
            for file, name in files:
                begin = PurePosixPath(source.lstrip("/"))
                into = self.path(target) / (name.name if begin == name else PurePosixPath(name).relative_to(begin))
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, into)

    def run(self, command: str, stages: dict[str, Stage], path: str) -> None:
        """Carry out RUN, with `path` as PATH, or skip it if it changes the system."""
        while command.startswith("--mount="):
            mount, _, command = command.partition(" ")
            options = dict(part.split("=", 1) for part in mount.removeprefix("--mount=").split(","))
            assert options["type"] == "bind"
            self.copy([options["source"]], options["target"], stages, options["from"])
        programs = {part.split()[0] for part in command.split(" && ")}
        if programs <= SKIPPED:
            return
        assert programs <= RUNS, f"RUN uses {sorted(programs - RUNS)} beside pip: use two instructions"
        self.call(["sh", "-euc", command], path, self.args)

    def call(self, command: list[str], path: str, args: dict[str, str] | None = None) -> bytes:
        """Return the stdout of a command in the working folder of the stage, with its environment."""
        self.path(".").mkdir(parents=True, exist_ok=True)
        env = {name: self.value(value) for name, value in ((args or {}) | self.env).items()}
        base = {name: value for name, value in os.environ.items() if name.startswith(("LANG", "LC_", "TMPDIR", "OMP_"))}
        done = subprocess.run(
            command, cwd=self.path("."), env=base | env | {"PATH": path}, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout.decode(errors='replace')}{done.stderr.decode()}"
        return done.stdout

    def value(self, value: str) -> str:
        """Return the value of a variable, absolute paths moved below `root`."""
        return str(self.path(value)) if value.startswith("/") else value


def carry_out(stages_folder: Path, path: str) -> Stage:
    """Carry out the whole Dockerfile and return its last stage."""
    stages: dict[str, Stage] = {}
    stage = Stage(stages_folder)
    for name, rest in instructions():
        words = shlex.split(rest, posix=True) if name not in {"RUN", "ENTRYPOINT", "CMD", "VOLUME"} else []
        match name:
            case "FROM":
                key = words[2] if len(words) == 3 else str(len(stages))
                stage = stages[key] = Stage(stages_folder / key)
            case "ARG":
                stage.args |= dict(word.split("=", 1) for word in words)
            case "ENV":
                stage.env |= dict(word.split("=", 1) for word in words)
            case "WORKDIR":
                stage.workdir /= words[0]
            case "COPY":
                assert not words[0].startswith("--"), "this test does not know the options of COPY"
                stage.copy(words[:-1], words[-1], stages, None)
            case "RUN":
                stage.run(rest, stages, path)
            case "USER":
                stage.user = words[0]
            case "VOLUME":
                stage.volumes = json.loads(rest)
            case "ENTRYPOINT":
                stage.entrypoint = json.loads(rest)
            case "CMD":
                assert isinstance(json.loads(rest), list)
            case _:
                pytest.fail(f"this test does not know the instruction {name}")
    return stage


@pytest.fixture
def search_path(tmp_path: Path) -> str:
    """Return the PATH of a new virtual environment that sees all packages installed here but vallecli."""
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=importlib.util.find_spec("pip") is None)
    packages = tmp_path / "packages"
    packages.mkdir()
    for site in dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]):
        for entry in Path(site).iterdir():
            if "vallecli" not in entry.name and entry.suffix != ".pth":
                (packages / entry.name).symlink_to(entry)
    python = folder / "bin" / "python"
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, check=True
    )
    (Path(own.stdout.decode().strip()) / "packages.pth").write_text(f"{packages}\n")
    pip = folder / "bin" / "pip"
    pip.write_text(PIP.format(python=python))
    pip.chmod(0o755)
    return os.pathsep.join([str(folder / "bin"), "/usr/local/bin", "/usr/bin", "/bin"])


def check_speech(wav: bytes) -> None:
    audio, rate = soundfile.read(io.BytesIO(wav))
    assert rate == 24_000
    assert 0.3 < len(audio) / rate < 5
    assert abs(audio).max() > 0.05


def test_its_steps_as_a_script(tmp_path: Path, search_path: str) -> None:
    stage = carry_out(tmp_path / "stages", search_path)
    assert stage.user not in {"root", "0"}
    for name in ("HOME", "HF_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        assert any(PurePosixPath(stage.env[name]).is_relative_to(volume) for volume in stage.volumes)
    stage.env["HF_HUB_OFFLINE"] = "1"
    program = shutil.which(stage.entrypoint[0], path=search_path)
    assert program is not None
    assert Path(program).is_relative_to(tmp_path)  # the one that was installed from the copied files
    stage.call([program, *stage.entrypoint[1:], *SPEAK, str(REFERENCE), "-o", "hello.wav"], search_path)
    check_speech(stage.path("hello.wav").read_bytes())


def test_the_build_context_is_what_is_copied() -> None:
    copied = {source for name, rest in instructions() if name == "COPY" for source in rest.split()[:-1]}
    assert {entry.name for entry in ROOT.iterdir() if in_context(PurePosixPath(entry.name))} == copied
    kept = context_files("src")
    assert PurePosixPath("src/vallecli/data/nano/model.safetensors") in kept
    assert not [path for path in kept if "__pycache__" in path.parts]


def docker_works() -> bool:
    return shutil.which("docker") is not None and not subprocess.run(["docker", "info"], capture_output=True).returncode


def test_the_image() -> None:
    if not docker_works():
        pytest.skip("docker is not available")
    [image] = {rest.split()[0] for name, rest in instructions() if name == "FROM"}
    if subprocess.run(["docker", "pull", image], capture_output=True, check=False).returncode:
        pytest.skip(f"docker cannot pull {image}")
    tag = f"vallecli-test-{os.getpid()}"
    subprocess.run(["docker", "build", "--tag", tag, ROOT], check=True)
    try:
        run = ["docker", "run", "--rm", "--network", "none", "-v", f"{REFERENCE.parent}:/work/examples:ro", tag]
        done = subprocess.run([*run, *SPEAK, "examples/reference.wav", "-o", "-"], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        check_speech(done.stdout)
    finally:
        subprocess.run(["docker", "image", "rm", tag], capture_output=True, check=False)
