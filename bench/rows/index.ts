/** All rows, in the order of the table. A new one is a file here and an entry below. */
import { logql } from './logql.ts'
import { lokiPush, otlpLogs, tail } from './logs.ts'
import { seriesMemory } from './memory.ts'
import { otlpMetrics, remoteWrite } from './metrics.ts'
import { promql } from './promql.ts'
import { SECTIONS, type Figure, type Measured, type Row, type RowContext, type RowResult, type Section } from './row.ts'
import { scrape } from './scrape.ts'
import { traceql } from './traceql.ts'
import { otlpTraces } from './traces.ts'

export const ROWS: readonly Row[] = [
  scrape,
  tail,
  remoteWrite,
  otlpMetrics,
  seriesMemory,
  promql,
  lokiPush,
  otlpLogs,
  logql,
  otlpTraces,
  traceql,
]

export { SECTIONS, type Figure, type Measured, type Row, type RowContext, type RowResult, type Section }
