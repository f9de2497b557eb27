"""All parts of the conformance suite under one name."""

from __future__ import annotations

import pytest

from . import (
    advice,
    carried_indexes,
    catalogue,
    changes,
    claims,
    column_equivalence,
    columns,
    compaction,
    creation,
    date_texts,
    declarations,
    declarations_under_way,
    digests,
    dynamic,
    embedding,
    fences,
    filter_equivalence,
    filter_truth,
    following,
    forks,
    generations,
    groups,
    indexes,
    interruptions,
    items,
    lifetimes,
    loading,
    log_lines,
    metadata,
    models,
    moved_stores,
    names,
    ordering,
    pages,
    partitions,
    progress,
    query_texts,
    rebuilds,
    rebuilds_without_vector,
    refusals,
    reindexing,
    remotes,
    samples,
    scans,
    scores,
    secrecy,
    sharing,
    state_machine,
    streams,
    strings,
    successors,
    switches,
    tallies,
    thresholds,
    twins,
    undeclared_equivalence,
    undeclared_keys,
    undeclared_strings,
    unknown_texts,
    updates,
    vector_changes,
    vectors,
    ways_back,
    without_vector,
    writes,
)


# Adversarial vectors may make a graph that reaches no target: an engine draws its levels, or reads the rows in
# an order that differs from run to run. Searches are exact then. The test of the warning turns it on again.
@pytest.mark.filterwarnings("ignore::vecstore.UnusedIndexWarning")
class StoreSuite:
    """What a backend's test file inherits; it gives the fixture ``new_place``.

    Each part is a class of its own inside, so that parts may use the same words for their fixtures and
    tests, and a part can be run alone: ``pytest -k TestUpdate``.
    """

    TestCatalogue = catalogue.CatalogueTests
    TestCreate = creation.CreateTests
    TestFilled = creation.FilledTests
    TestOpen = catalogue.OpenTests
    TestRename = catalogue.RenameTests
    TestDrop = catalogue.DropTests

    TestString = strings.StringTests
    TestName = names.NameTests
    TestVector = vectors.VectorTests
    TestMetadata = metadata.MetadataTests
    TestDateText = date_texts.DateTextTests

    TestFilterTruth = filter_truth.FilterTruthTests
    TestFilterEquivalence = filter_equivalence.FilterEquivalenceTests
    TestFilterRefusal = refusals.FilterRefusalTests
    TestUndeclaredKey = undeclared_keys.UndeclaredKeyTests
    TestUndeclaredString = undeclared_strings.UndeclaredStringTests
    TestUndeclaredEquivalence = undeclared_equivalence.UndeclaredEquivalenceTests
    TestUndeclaredChange = undeclared_equivalence.UndeclaredChangeTests
    TestDynamic = dynamic.DynamicTests
    TestAdvice = advice.AdviceTests
    TestRowNumber = advice.RowNumberTests

    TestScore = scores.ScoreTests
    TestExactScore = scores.ExactScoreTests
    TestOrder = ordering.OrderTests
    TestAnswer = ordering.AnswerTests
    TestPages = pages.PagesTests
    TestQueryText = query_texts.QueryTextTests
    TestCompleteness = ordering.CompletenessTests
    TestThreshold = thresholds.ThresholdTests
    TestIndex = indexes.IndexTests
    TestClusteredIndex = indexes.ClusteredIndexTests
    TestCarriedIndex = carried_indexes.CarriedIndexTests
    TestReindex = reindexing.ReindexTests
    TestPartitions = partitions.PartitionsTests
    TestCompaction = compaction.CompactionTests
    TestLog = log_lines.LogTests
    TestSecrecy = secrecy.SecrecyTests

    TestWrite = writes.WriteTests
    TestInsert = writes.InsertTests
    TestUpsert = writes.UpsertTests
    TestTwin = twins.TwinTests
    TestColumn = columns.ColumnTests
    TestColumnEquivalence = column_equivalence.ColumnEquivalenceTests
    TestStream = streams.StreamTests
    TestProgress = progress.ProgressTests
    TestLoading = loading.LoadingTests

    TestUpdate = updates.UpdateTests
    TestDelete = updates.DeleteTests
    TestVectorlessRow = rebuilds_without_vector.VectorlessRowTests
    TestWithoutVector = without_vector.WithoutVectorTests
    TestVectorChange = vector_changes.VectorChangeTests

    TestGet = scans.GetTests
    TestCount = scans.CountTests
    TestScan = scans.ScanTests
    TestScanUnderChange = scans.ScanUnderChangeTests
    TestValues = tallies.ValuesTests
    TestUndeclaredValues = tallies.UndeclaredValuesTests
    TestKeys = tallies.KeysTests

    TestDigest = digests.DigestTests
    TestVersionDigest = digests.VersionDigestTests

    TestFencedWrite = fences.FencedWriteTests
    TestFencedDelete = fences.FencedDeleteTests
    TestGroup = groups.GroupTests

    TestSample = samples.SampleTests
    TestBackendCompaction = compaction.BackendCompactionTests
    TestChanges = changes.ChangesTests
    TestStandby = changes.StandbyTests
    TestSwitch = switches.SwitchTests
    TestRemote = remotes.RemoteTests
    TestMovedStore = moved_stores.MovedStoreTests

    TestRebuild = generations.RebuildTests
    TestModel = models.ModelTests
    TestRollback = generations.RollbackTests
    TestVectorlessRebuild = rebuilds_without_vector.VectorlessRebuildTests
    TestRebuildUnderWrites = rebuilds.RebuildUnderWritesTests
    TestInterruptedRebuild = interruptions.InterruptedRebuildTests
    TestDeclare = declarations.DeclareTests
    TestInterruptedDeclare = declarations_under_way.InterruptedDeclareTests
    TestDeclareUnderWrites = declarations_under_way.DeclareUnderWritesTests
    TestRivals = interruptions.RivalsTests
    TestCarried = rebuilds.CarriedTests
    TestWayBack = ways_back.WayBackTests
    TestUnchanged = ways_back.UnchangedTests
    TestParked = ways_back.ParkedTests

    TestSuccessor = successors.SuccessorTests
    TestFollowing = following.FollowingTests

    TestDatabases = sharing.DatabasesTests
    TestThreads = sharing.ThreadsTests
    TestProcesses = sharing.ProcessesTests

    TestFork = forks.ForkTests
    TestClose = lifetimes.CloseTests
    TestDurable = lifetimes.DurableTests

    TestEmbedding = embedding.EmbeddingTests
    TestIdentity = embedding.IdentityTests
    TestItem = items.ItemTests
    TestItemQuery = items.ItemQueryTests
    TestBlankText = unknown_texts.BlankTextTests
    TestUnknownText = unknown_texts.UnknownTextTests
    TestClaim = claims.ClaimTests

    TestStateMachine = state_machine.StateMachineTests
