# The commands of the book; plain `make` lists them.
PYTHONS := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python)
# Where torch comes from: PyTorch's CPU builds, unless chosen otherwise now or at the last installation.
TORCH_INDEX ?= $(or $(shell cat .venv/torch-index 2>/dev/null),https://download.pytorch.org/whl/cpu)
PORT ?= 8000
RESULTS ?= results
DEVICE ?= auto
N ?= 10000
MINUTES ?= 40
SEED ?= 1

BIN := .venv/bin
INSTALLED := .venv/installed-$(shell { cat requirements.lock pyproject.toml package-lock.json; echo $(TORCH_INDEX); } | cksum | cut -d ' ' -f 1)

# An environment whose Python is gone, as after an update of the system, is made anew.
$(shell [ -e $(BIN)/python ] || rm -f .venv/installed-*)

.DEFAULT_GOAL := help
.PHONY: help html pdf serve test lab notebooks benchmark profile accelerator lint types bench peers executed published ranks fuzz mutants versions wheel colab clean

help:  ## List these commands
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

html: $(INSTALLED)  ## Execute every page and build the site
	@$(BIN)/python -m flopsite

pdf: html  ## Print the whole book as a PDF into the site
	@$(BIN)/python -m flopsite.takeaway.pdf

serve: html  ## Build the site and serve it on this machine (PORT=8000)
	@echo "http://localhost:$(PORT), until Ctrl-C"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

test: html  ## Build the site and run all tests
	@$(BIN)/python -m pytest -n auto --dist loadscope --no-loadscope-reorder

lab: $(INSTALLED)  ## Open the lectures and labs in JupyterLab
	@JUPYTER_CONFIG_DIR=.venv/etc/jupyter $(BIN)/jupytext-config set-default-viewer > /dev/null
	@$(BIN)/jupyter lab --ServerApp.contents_manager_class=flopsite.jupyter.contents.PageManager

notebooks: html  ## Write the .ipynb of every page
	@echo "The notebooks are in _build/html/notebooks:" && cd _build/html/notebooks && find . -name '*.ipynb' | sort

benchmark: $(INSTALLED)  ## Train a small network on three data sets (RESULTS=results)
	@$(BIN)/python -m flopbook.labs benchmark --results "$(RESULTS)"

profile: $(INSTALLED)  ## Take one of its training steps apart (RESULTS=results)
	@$(BIN)/python -m flopbook.labs profile --results "$(RESULTS)"

accelerator: $(INSTALLED)  ## Record what an accelerator runs (RESULTS=results, DEVICE=auto)
	@$(BIN)/python -m flopbook.labs accelerator "$(RESULTS)" --device "$(DEVICE)"

lint: $(INSTALLED)  ## Check style, formatting and the workflows
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/zizmor --quiet --offline --strict-collection .github

types: $(INSTALLED)  ## Check types
	@$(BIN)/mypy

bench: html  ## Measure the build and the counters
	@$(BIN)/python -m benchmarks

peers: $(INSTALLED)  ## Ask the other FLOP counters and record what they say
	@PYTHONPATH=. $(BIN)/python reference/peers

executed: $(INSTALLED)  ## Record the floating-point instructions that a processor runs
	@$(BIN)/python reference/executed

published: $(INSTALLED)  ## Record what the library's models of published sizes have and run
	@$(BIN)/python reference/published

ranks: $(INSTALLED)  ## Record what one of up to 1,024 ranks computes, keeps and sends
	@OMP_NUM_THREADS=1 $(BIN)/python reference/ranks

fuzz: $(INSTALLED)  ## Count random networks (N=10000)
	@FUZZ="$(N)" $(BIN)/python -m pytest -q --hypothesis-seed=random tests/agreement/test_fuzz.py

mutants: $(INSTALLED)  ## Change the code in one place and see whether a test notices (MINUTES=40 SEED=1)
	@$(BIN)/python -m tools.mutants --minutes "$(MINUTES)" --seed "$(SEED)"

versions: $(INSTALLED)  ## Test with the oldest and the newest torch and record it (some GB)
	@$(BIN)/python -m tools.versions "$(TORCH_INDEX)"

wheel: $(INSTALLED)  ## Build the wheel into dist
	@$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

colab: html  ## Push the notebooks to a branch, where Colab opens them (FLOPBOOK_REPOSITORY, TOKEN)
	@cd _build/html/notebooks && export GIT_DIR="$(CURDIR)/_build/notebooks.git" GIT_WORK_TREE=. && \
	git init -q -b notebooks && git add . && \
	git -c user.name=flopbook -c user.email=flopbook@localhost commit -q --allow-empty -m "The notebooks of the book" && \
	git push -fq "https://x-access-token:$$TOKEN@github.com/$$FLOPBOOK_REPOSITORY" notebooks

clean:  ## Remove what the build wrote; .venv stays
	@rm -rf _build

$(INSTALLED):
	@for python in $(PYTHONS); do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec $$python tools/install.py "$(TORCH_INDEX)" "$@"; \
	  fi; \
	done; \
	echo "The FLOP Book needs Python 3.11 or newer, and none of these is: $(PYTHONS)."; \
	echo "Install one (https://www.python.org/downloads, or your system's package manager),"; \
	echo "then run: make PYTHON=/path/to/python3"; \
	exit 1
