# Rules for make: jobs.csv to out/, and NAME.txt to NAME.flac.
#   make -f examples/speech.mk out/results.jsonl chapter1.flac VOICE=examples/reference.wav
VOICE ?= reference.wav

out/results.jsonl: jobs.csv $(VOICE)
	valle batch $< --out-dir $(@D)
	touch $@

%.flac: %.txt $(VOICE)
	valle speak --prompt $(VOICE) --text-file $< --force -o $@
