# srbench: `make help` lists the targets. Everything runs in .venv, which `make install` makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check
MARKERS ?= not slow and not gpu and not network and not browser
BENCH ?= tests/benchmarks
N ?= 1000
KILLS ?= 10
ROUNDS ?= 5
SEED ?= 0
# What committed records hold: the default metrics, and those that tell texture from lattice and detail from invention.
SETS ?= set5,set14,sample
RECORD_METRICS ?= psnr,ssim,lpips,lr-psnr,dists,lattice,hallucination,omission,improvement
RECIPES ?= srgan-v2 srgan-perpix-v2 esrgan-v2 esrgan-wgan-gp-v2

.DEFAULT_GOAL := help
.PHONY: help install demo dev test check litert docs same format bench memory exports report records zoo gpu clean campaign serving

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(PIP) install --quiet --constraint constraints.txt setuptools wheel cython
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev,serve,video,docs,basicsr,tensorboard,spandrel,onnx,submitit,litert,ncnn,perceptual]'
	touch $@

install: $(VENV)/.installed  ## make .venv with srbench and its pinned dependencies

demo: install  ## measure three models on four images from scratch, compare with the records, print the leaderboard
	$(BIN)/srbench reproduce bicubic fsrcnn_x4.tuned edsr_baseline_x4.tuned --dataset sample --scale 4 \
		--protocol standard --leaderboard
	@echo "Everything that was measured: open reports/index.html in a browser, or reports/leaderboard.md."

dev: $(VENV)/.dev  ## what tests and checks need, the basicsr extra included

test: dev  ## the tests; MARKERS="not gpu and not network" for all that run without them
	$(BIN)/python -m pytest -m "$(MARKERS)" $(FLAGS)

check: dev  ## format, lint, types, and that reports/ is fresh
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/srbench report --check

litert: .venv-litert/.installed  ## make .venv-litert, with which `srbench export --format litert` converts

.venv-litert/.installed: constraints-litert.txt
	test -x .venv-litert/bin/python || $(PYTHON) -m venv .venv-litert
	.venv-litert/bin/pip --disable-pip-version-check install --quiet --constraint constraints-litert.txt litert-torch
	touch $@

docs: dev  ## build the documentation into site/, strictly: a dead link or a wrong docstring is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

campaign: dev  ## damage files by the thousand (N=1000 of each kind, SEED=0), kill commands (KILLS=10), let 8 write at once (ROUNDS=5)
	$(BIN)/python -m tests.campaign --n $(N) --kills $(KILLS) --rounds $(ROUNDS) --seed $(SEED)

serving: dev  ## load and ten thousand hostile requests against a real server, written into docs/serve.md
	$(BIN)/python -m tests.serving.load --write docs/serve.md
	$(BIN)/python -m tests.serving.hostile --write docs/serve.md

same: dev  ## scores of the zoo and two short trainings; BEFORE=file compares bit for bit with another commit's
	$(BIN)/python -m tests.same_numbers same_numbers.json $(if $(BEFORE),--against $(BEFORE))

format: dev  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: dev  ## speed against peers and bare loops, as ratios within one run
	$(BIN)/python -m pytest $(BENCH) -o python_files='bench_*.py' -o addopts='--strict-markers' --benchmark-only \
		--benchmark-columns=min,median,rounds --benchmark-storage=file://results/bench --benchmark-save=latest $(BENCHFLAGS)

memory: dev  ## peak memory of 8K images and of sets of 2K images: the tables of docs/reliability.md
	$(BIN)/python -m tests.benchmarks.memory --write

exports: dev litert  ## every architecture in every format beside PyTorch: the table of docs/export.md; AGAIN=--again measures all anew
	$(BIN)/python -m tests.benchmarks.exports --write $(AGAIN)

report: install  ## render reports/ from results/
	$(BIN)/srbench report

records: dev  ## add to results/ the metrics and cells that it lacks, for the zoo on SETS=set5,set14,sample; stored scores stay
	$(BIN)/srbench eval --all --datasets $(SETS) --protocol standard,classic \
		--metrics $(RECORD_METRICS) --device cpu --cache-memory 3

zoo: install  ## train what zoo/ lacks, parents before their GANs, and measure it; TRAIN="--budget 1h" and other options
	$(BIN)/srbench train --all --recipe tuned $(TRAIN)
	test -f zoo/srresnet/x4.tuned-nearest.toml || $(BIN)/srbench train srresnet --recipe tuned --set options.upsampler=upsampling \
		--name tuned-nearest --resume $(TRAIN)
	$(BIN)/srbench train --all $(RECIPES:%=--recipe %) $(TRAIN)

gpu: dev  ## tests, trainings and times on a GPU in SECONDS=570, JOBS=8 at a time; DEVICE=cpu JOBS=1 rehearses; all in gpu-out
	test -d gpu-pack || $(BIN)/python -m tests.gpu_session pack gpu-pack
	$(BIN)/python -m tests.gpu_session run gpu-pack gpu-out --device $(or $(DEVICE),cuda) --seconds $(or $(SECONDS),570) --jobs $(or $(JOBS),8) $(if $(ONLY),--only $(ONLY))

clean:  ## remove .venv and caches; results, reports and the zoo stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build site *.egg-info
