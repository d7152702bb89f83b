# Switchboard. `make` alone lists what can be done.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup build run up down status logs mail test test-tsan test-faults bench fuzz fmt lint

switchboard := deploy/local/switchboard
sources := Package.swift Shared Services Gateway Tests
SECONDS_EACH ?= 20

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  Ports and settings: .env.example.  More: deploy/local/switchboard --help"

setup: ## Install what is missing: apt packages, the local PostgreSQL and broker (quick when nothing is)
	@deploy/local/setup

build: setup ## Build the programs (release, the Swift libraries within, as in the images)
	swift build -c release --static-swift-stdlib

run: build ## Everything in the foreground, with simulated calls shown live; Ctrl-C stops
	@$(switchboard) run

up: build ## Everything in the background; returns when it answers, prints the URL and the credentials
	@$(switchboard) up

down: ## Stop what `make up` started
	@$(switchboard) down

status: ## Each program: ready or why not, port, memory, restarts
	@$(switchboard) status

logs: ## Follow the logs (PROGRAM=telephony for one)
	@$(switchboard) logs -f $(PROGRAM)

mail: ## The mails that went out (TO=someone@example.com for one address)
	@$(switchboard) mail $(TO)

test: ## Every test, on a private platform of its own (ONLY=AuthTests, ONLY=acceptance/test_calls.py for some)
	@deploy/local/setup tests
	@.local/venv/bin/python deploy/local/test.py $(if $(ONLY),--only '$(ONLY)')

test-tsan: ## The Swift tests under the thread sanitizer (without the suites that start librdkafka)
	@deploy/local/setup tests
	@.local/venv/bin/python deploy/local/test.py --tsan

test-faults: ## 300 dialogues while programs, PostgreSQL and the broker are killed (SEED=… repeats a run)
	@deploy/local/setup tests
	@.local/venv/bin/python deploy/local/test.py --faults

bench: ## Measurements, as ratios against nginx, plain writes and Foundation in the same run
	@deploy/local/setup bench
	swift build -c release --static-swift-stdlib
	@.local/venv/bin/python deploy/local/bench.py

fuzz: ## libFuzzer on the HTTP, chunk and WebSocket parsers (SECONDS_EACH=20)
	@deploy/local/setup
	@Tests/Fuzz/run $(SECONDS_EACH)

fmt: ## Format the Swift sources
	swift format --in-place --recursive --parallel $(sources)

lint: ## Report what `make fmt` would change
	swift format lint --strict --recursive --parallel $(sources)
