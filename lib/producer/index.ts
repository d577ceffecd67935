/**
 * The producing side of the journal: what scrapers, tailers, receivers and rules append through, and the rules that choose partitions.
 *
 * An `Appender` takes encoded batches; `createRowsAppender` puts metric rows on top of one. An append that resolved is durable in
 * every partition it touched; one that failed may be repeated as a whole.
 */
export { AppendCounts, registerAppendMetrics, type SignalCounts } from './append-counts.ts'
export type { Appender, ProducedBatch } from './appender.ts'
export { MarkedGate, type AppendAll, type MarkedAppender, type MarkedGap, type MarkedGateOptions, type MarkedOutcome } from './marked.ts'
export { logsPartition, metricsPartition, tracesPartition } from './partition.ts'
export { createRowsAppender, type RowsAppender } from './rows-appender.ts'
