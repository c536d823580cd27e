# make help lists the targets.

GO ?= go
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# Targets that others are vetted for and built for, as os/arch.
VET_PLATFORMS   := linux/amd64 linux/arm64 darwin/arm64 windows/amd64
BUILD_PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

# The packages that start goroutines or are called from many. Under the race detector, which is an order of magnitude
# slower, the longest tests are left out: other tests share memory between threads in the same ways.
RACE      := . ./bench ./internal/... ./model ./weights ./weights/internal/... ./weights/synth
# Of the kernels only the team of threads has more than one.
RACE_TEAM := Team|Barrier|Stop
# Of caches and tokenizers, what several threads do at once: seal the lists of heads, share pages, encode.
RACE_SHARED := IndexFollows|Clusters|Blocks|Snapshot|ManyGoroutines
# Of the command, what happens while something else does.
RACE_COMMAND := Interrupt|Progress|Watch|Pipe|Stops|Exit
# And of training, that steps are the same with any number of them.
RACE_TRAIN := TestThreadsChangeNoStep|TestRunGoesOn
# Tests of much arithmetic, most of them of a session on its own, that the race detector and the slowest kernels need not
# repeat.
SLOW      := TestBudgetIsNeverExceeded|TestThinkWithinBudget|TestStream|TestSessionAtRandom|TestEpisodesGrowAndAreBuiltAnew|TestEpisodesInFiles|TestQuestionsGoToTheirEpisode|TestAnswerTellsOfTokensBeyondTrained|TestOpenedBlocksAreSharedOut|TestPlanCoversBlocks|TestPlanCoversLandmarks|TestMemoryThatIsBounded|TestTitansBytesAreFlat|TestTitansWorkIsFlat|TestAdapterIsFlat|TestFifoWorkIsFlat|TestMemoryWithinABudget|TestAdapterWithAWindow
# Tests of package model that choose the implementations by themselves.
EACH      := TestAdapterIsTheNaiveOne|TestChunkedForwardIsTheNaiveOne|TestForwardIsTheNaiveOne|TestGreedyIsTheSameOnEveryPlatform|TestRepackedLogitsAreTheSame|TestFifoIsTheNaiveOne|TestTitansIsTheNaiveOne|TestPrototypeTitans
# Tests that read long texts, which kernels in plain Go, an order of magnitude slower, need not repeat.
LONG      := TestRowsInAFile|TestIndependentQuestions|TestContextIsTheDefaultLimit|TestBudgetOfTheWholeTextIsFullAttention|TestConversationWithSensitivity|TestSavedSessionGoesOnAlike|TestBuildingStopped|TestLongUtterancesSplit|TestLandmarkPrototype|TestBudgetToOpenTheWholeText|TestThinkThatPrunesNothing|TestQuestionThatIsASegmentGoesToItsEpisode|TestOnlyWhatSaysSoLooksAhead|TestNewEpisodeBelowAThreshold|TestBlocksAreSaved|TestLandmarksOfAnyPieces|TestEpisodesOfTheWholeTalkAnswerAlike|TestOneBlockIsCompressionAfterPrefill|TestIndependentQuestionLeavesNoEpisode|TestAnswerTellsOfRowsDropped|TestOneEpisode|TestLandmarkModesWithNobodyToShareWith|TestThinkTakesLessMemory|TestBuildProgress|TestFolderOfOtherSettings|TestMutatedFiles|TestMutatedRealFiles|TestLandmarkAttentionMass|TestDecodingDoesNotAllocate|TestDecodingTogetherDoesNotAllocate|TestRowsThatGoChangeNothing|TestThreadsChangeNoBitOfClusters|TestClusteredSequencesInOneBatchAreAlone|TestTextsWithoutTheirBeginningAreTakenBack|TestPrototypeFifo|TestLandmarkRetrievalPrototype|TestChunkedPrefillInPiecesIsPrefillAtOnce
RACE_SKIP := ^(TestContextIsTheDefaultLimit|TestGolden|TestDecodingDoesNotAllocate|TestLoadRefuses|TestMulAgainstDecodedWeights|TestMulIsTheSameForAnyNumberOfColumns|TestMulOfExtremes|TestPerplexityReference|TestReferencePerplexity|TestSequencesInOneBatchAreAlone|TestGeneratingAllocatesOnlyText|TestBudgetOfTheWholeTextIsFullAttention|TestThinkTakesLessMemory|TestThinkThatPrunesNothing|TestBenchWithinABudget|TestReadLoCoMo|TestBudgetToOpenTheWholeText|TestGeneratingWithLandmarksAllocatesNothing|TestLandmarkAttentionMass|TestLandmarkMemoryIsBounded|TestLandmarkPrototype|TestLandmarksAreTheNaiveOnes|TestLandmarksOfAnyPieces|TestDecodingWithClustersDoesNotAllocate|TestClustersAfterTruncation|TestWorkIsTheFilesMatrices|TestDecodingTogetherDoesNotAllocate|TestDecodingWithMemoryDoesNotAllocate|TestFifoDecodingDoesNotAllocate|TestTitansDecodingDoesNotAllocate|TestTitansInAnyBatches|TestAdapterDecodingDoesNotAllocate|TestAdapterRefused|TestAdapterIsRead|TestAdapterBesidePolicies|TestZeroAdapterIsTheBackbone|TestChunkedPrefillInPiecesIsPrefillAtOnce|TestMemoryOfASession|TestClusteredSequencesInOneBatchAreAlone|TestPrototypeFifo|TestPrototypeBase|TestRowsThatGoChangeNothing|TestLandmarkRetrievalPrototype|TestMutated|TestMutatedFiles|TestMutatedRealFiles|TestVocabulary|TestRooflineOfEveryImplementation|TestQuantizeLikeReference|TestRepacking|$(EACH)|$(SLOW))$$

# What runs once for each implementation of the kernels that the machine has. The tests of the kernels and of attention, and
# those of the model that compare with references, run over all of them by themselves.
TIERS := . ./model

# What runs on emulated arm64, ten times slower: what has arithmetic of its own; of package model, that small models write
# what they do elsewhere.
QEMU      ?= qemu-aarch64 -cpu max
ARM64     := ./attention ./kernels ./kvcache ./sample ./weights/quant
ARM64_RUN := ^(TestForwardIsTheNaiveOne|TestGolden|TestGreedyIsTheSameOnEveryPlatform|TestRopeFrequencies|TestRoute)$$/(\.short$$|^stories260K|-tiny$$)

FUZZTIME ?= 10s

# What make bench measures by default: a product of each kind with one column and with many, attention's products with
# a common head, what is done to a row of activations, and the machine's limits; on every implementation, in a few
# minutes. BENCH=. is everything. The whole list is gone through BENCHCOUNT times, so that a minute in which the machine
# is busy with something else falls upon a few measurements of each benchmark and not upon all of one.
BENCH      ?= Limits|Mul$$/./^(F32|F16|BF16|Q4_0|Q8_0|Q4_K|Q6_K)$$/columns=(1|64)$$|CachedRows/././^(F16|Q8_0)$$/dim=128/queries=(1|48)$$|Vectors/./^(RMSNorm|Softmax|SwiGLU|ConvertQ8)$$
BENCHTIME  ?= 0.2s
BENCHCOUNT ?= 6
PKG        ?= ./kernels
BENCHSTAT  := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST) | while IFS='	' read -r name what; do printf '  %-10s %s\n' "$$name" "$$what"; done

.PHONY: build
build: ## build the command, ./infer
	CGO_ENABLED=0 $(GO) build ./cmd/infer

.PHONY: test
test: ## run all tests
	$(GO) test ./...

.PHONY: short
short: ## run the tests that take no long time
	$(GO) test -short ./...

.PHONY: tiers
tiers: ## test models and sessions with each implementation of the kernels that this machine has, but the fastest: make test has that
	@names=$$($(GO) run ./cmd/infer version | sed -n 's/.*kernels: \[\(.*\)\].*/\1/p'); [ -n "$$names" ] || exit 1; \
	for cpu in $${names% *}; do echo "MNEME_CPU=$$cpu"; long=; [ $$cpu != generic ] || long='|$(LONG)'; \
		MNEME_CPU=$$cpu $(GO) test -short -skip "^($(EACH)|$(SLOW)$$long)\$$" $(TIERS) || exit 1; done

.PHONY: race
race: ## test the packages with goroutines under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -short -skip '$(RACE_SKIP)' $(RACE)
	CGO_ENABLED=1 $(GO) test -race -run '$(RACE_TEAM)' ./kernels
	CGO_ENABLED=1 $(GO) test -race -short -run '$(RACE_SHARED)' ./kvcache ./tokenizer
	CGO_ENABLED=1 $(GO) test -race -short -run '$(RACE_COMMAND)' ./cmd/infer
	CGO_ENABLED=1 $(GO) test -race -run '$(RACE_TRAIN)' ./train

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s)
	.ci/fuzz $(FUZZTIME)

.PHONY: arm64
arm64: ## run tests on emulated arm64 (needs qemu-user)
	@version=$$(GOARCH=arm64 $(GO) run -exec '$(QEMU)' ./cmd/infer version) && echo "$$version" && \
	case $$version in *'neon dotprod i8mm'*) ;; *) echo 'the emulator lacks instructions that there are kernels for'; exit 1; esac
	GOARCH=arm64 $(GO) test -short -exec '$(QEMU)' $(ARM64)
	GOARCH=arm64 $(GO) test -exec '$(QEMU)' -run '$(ARM64_RUN)' ./model

.PHONY: bench
bench: ## measure the kernels (those of BENCH, of the packages PKG), compare with the last run: build/bench.txt
	@mkdir -p build && rm -f build/bench.new.txt
	@for i in $$(seq $(BENCHCOUNT)); do echo "run $$i of $(BENCHCOUNT)" >&2; \
		$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime '$(BENCHTIME)' -count 1 -timeout 1h $(PKG) >>build/bench.new.txt || { cat build/bench.new.txt; exit 1; }; done
	@grep -q '^Benchmark' build/bench.new.txt || { echo "no benchmark matches BENCH='$(BENCH)'"; exit 1; }
	@if [ -f build/bench.txt ]; then mv build/bench.txt build/bench.last.txt; fi
	@mv build/bench.new.txt build/bench.txt
	@if [ -f build/bench.last.txt ]; then set -- last=build/bench.last.txt now=build/bench.txt; else set -- build/bench.txt; fi; \
		$(GO) run $(BENCHSTAT) -filter '.unit:(B/s OR GFLOP/s OR Gop/s)' "$$@"

.PHONY: cover
cover: ## measure what the tests cover: coverage.out, coverage.html
	$(GO) test -coverprofile=coverage.out -coverpkg=./... ./...
	$(GO) tool cover -html=coverage.out -o coverage.html
	$(GO) tool cover -func=coverage.out | tail -n 1

.PHONY: fmt
fmt: ## format the code
	gofmt -w .

.PHONY: fmt-check
fmt-check: ## fail if gofmt would change a file
	@files=$$(gofmt -l .) && if [ -n "$$files" ]; then echo "not formatted by gofmt:"; echo "$$files"; exit 1; fi

.PHONY: vet
vet: ## run go vet for this machine
	$(GO) vet ./...

.PHONY: vet-all
vet-all: ## run go vet for each kind of platform
	@for p in $(VET_PLATFORMS); do echo "go vet $$p"; CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) vet ./... || exit 1; done

.PHONY: lint
lint: ## run golangci-lint (built on first use, which takes minutes)
	$(GO) run $(GOLANGCI) run ./...

.PHONY: cross
cross: ## build the command for every platform, into dist/
	@for p in $(BUILD_PLATFORMS); do os=$${p%/*}; arch=$${p#*/}; ext=; [ $$os != windows ] || ext=.exe; \
		echo "go build $$p"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build ./... && \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build -o dist/infer-$$os-$$arch$$ext ./cmd/infer || exit 1; done

.PHONY: tidy-check
tidy-check: ## fail if go.mod or go.sum are not tidy
	$(GO) mod tidy -diff
	$(GO) mod verify

.PHONY: ci
ci: ## run everything that a change must pass
	.ci/run

.PHONY: clean
clean: ## remove what was built and measured
	rm -rf build infer infer.exe dist coverage.out coverage.html
