# Two commands: `make demo` shows what the project does, `make test` runs its tests (`make quick` those that are over in
# seconds, `make lowest` all with the oldest packages that are promised to do). Each makes the environment first.
# `make web` builds the page for browsers; it and its tests alone need Node.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := runs/demo

SECONDS ?= 60

.PHONY: fuzz kills audit demo test quick lowest lint types docs web web-test clean

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/magicpoint generate $(DEMO)/shapes --count 900 --validation_count 0 --test_count 0 --seed 1
	$(BIN)/magicpoint train $(DEMO)/detector --config demo --dataset $(DEMO)/shapes --resume
	rm -rf $(DEMO)/evaluation
	$(BIN)/magicpoint evaluate --weights $(DEMO)/detector --images_per_shape 10 --out $(DEMO)/evaluation
	rm -f $(DEMO)/features.h5
	$(BIN)/magicpoint extract notebooks/images/cameraman.png --weights magicpoint --out $(DEMO)/features.h5 --overlay $(DEMO)/overlays --threshold 0.05
	@echo
	@echo "The picture: $(DEMO)/overlays/cameraman.png   (keypoints of the shipped weights on a photograph)"
	@echo "The table:   $(DEMO)/evaluation/synthetic.txt  (the detector that was just trained, beside five others)"

test: $(VENV)/installed
	$(BIN)/python -m pytest

quick: $(VENV)/installed
	$(BIN)/python -m pytest -m 'not slow'

lowest: $(VENV)/installed
	VENV=$(VENV) .ci/lowest

# TARGET is one of those of fuzz/targets.py; guided by coverage where atheris is installed (the extra fuzz).
fuzz: $(VENV)/installed
	PYTHONPATH=. $(BIN)/python fuzz/run.py $(TARGET) --seconds $(SECONDS)

# kill -9 at random moments of every verb that writes; two hours with 50 moments each.
MOMENTS ?= 50
kills: $(VENV)/installed
	PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python tests/faults/kills.py --moments $(MOMENTS)

# Known faults of the pinned packages, which the package index is asked for; it fails where the index does not know.
audit: $(VENV)/installed
	$(BIN)/python -m pip install --disable-pip-version-check -q 'pip-audit>=2.10'
	$(BIN)/python -m pip_audit --strict --disable-pip --no-deps --requirement constraints.txt

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/mypy

docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci

web: $(VENV)/installed web/node_modules/.package-lock.json
	cd web && PATH="$(abspath $(BIN)):$$PATH" npm run models
	cd web && npm run build

web-test: web
	cd web && npm test
	$(BIN)/python -m pytest tests/test_web.py

clean:
	rm -rf $(VENV) runs site web/node_modules web/build web/dist web/public/example web/public/models web/public/ort
