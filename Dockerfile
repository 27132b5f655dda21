# CPU image of vallecli. The built-in model nano is inside, so it works without a network.
#
#   docker build -t vallecli .
#   docker run --rm -v "$PWD:/work" -u "$(id -u):$(id -g)" vallecli \
#       speak --prompt ref.wav --text "Hello, this is my voice." -o hello.wav
#
# /work is the working folder. Downloaded checkpoints and settings are stored in /data: mount a volume there to keep
# them (-v vallecli-data:/data).
#
# Build arguments:
#   TORCH_INDEX  the package index that provides CPU builds of torch
#   EXTRAS       optional dependencies of pyproject.toml, separated by spaces, for example "espeak vallex zh ja".
#                espeak and vallex install packages under the GPL; EXTRAS="" leaves them out.
#
# Needs BuildKit, the default builder since Docker 23, for RUN --mount.

FROM python:3.11-slim AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE NOTICE checkpoints.toml ./
COPY src ./src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir dist .

FROM python:3.11-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS="espeak"

# espeak-ng reads text for the checkpoints that need phonemizer. libsndfile is part of the soundfile package.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends espeak-ng \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --home-dir /data --no-create-home valle \
    && install --directory --mode=1777 /data /work

# This layer depends on pyproject.toml only, so a change of the source does not install torch again. encodec requires
# torchaudio, which has to match the CPU build of torch.
WORKDIR /build
COPY pyproject.toml ./
RUN python -c "import os, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        extras = [r for e in os.environ['EXTRAS'].split() for r in p['optional-dependencies'][e]]; \
        print(*p['dependencies'], *extras, sep='\n')" > requirements.txt \
    && grep "^torch" requirements.txt > torch.txt \
    && pip install --no-cache-dir --index-url "$TORCH_INDEX" -r torch.txt torchaudio \
    && pip install --no-cache-dir -r requirements.txt
RUN --mount=type=bind,from=build,source=/build/dist,target=/build/dist \
    pip install --no-cache-dir --no-deps dist/*.whl

ENV HOME=/data HF_HOME=/data/huggingface XDG_DATA_HOME=/data/share XDG_CONFIG_HOME=/data/config XDG_CACHE_HOME=/data/cache
VOLUME ["/data"]
WORKDIR /work
USER valle
ENTRYPOINT ["valle"]
CMD ["--help"]
