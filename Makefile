# Two commands for a newcomer: `make run` and `make test`. Both find or make a Python that has what they need.

PYTHON_SH = sh packaging/python.sh

run: ## The relay with its built-in upstream, on http://127.0.0.1:8787 (LISTEN=host:port: elsewhere)
	@$(PYTHON_SH) run -m monorelay demo $(if $(LISTEN),--listen $(LISTEN))

test: lint ## Lint and the whole suite
	@$(PYTHON_SH) test packaging/suite.py -q

lint: ## ruff format, ruff check, mypy --strict
	@sh packaging/lint.sh

bench: ## Throughput and streams against the built-in upstream
	@$(PYTHON_SH) run tests/bench/relay_bench.py

deb: ## dist/monorelay_VERSION_all.deb, from what is committed
	@packaging/build-deb.sh

rpm: ## dist/monorelay-VERSION.noarch.rpm, from what is committed
	@packaging/build-rpm.sh

test-packages: ## Both packages in fresh Debians with a systemd of their own; needs root
	@packaging/test-packages.sh

docs: ## Write docs/drop-ins.md again from the schemas
	@$(PYTHON_SH) run -m monorelay.config.reference > docs/drop-ins.md.new && mv docs/drop-ins.md.new docs/drop-ins.md

clean: ## What the commands above have made, the .venv included
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## This list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile

.PHONY: run test lint bench deb rpm test-packages docs clean help
