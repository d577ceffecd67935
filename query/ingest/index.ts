/**
 * The way in: journal first, then shards. Replay on start, limits of tenants, retention. See `ingest.ts` for the order of things.
 */
export { ControlLog, type ControlLogOptions } from './control-log.ts'
export { GroupIngest, type GroupIngestOptions, type SharedJournal } from './group-ingest.ts'
export { Ingest, type IngestOptions } from './ingest.ts'
export type { LostRange, QueryIngest, ReplayProgress } from './query-ingest.ts'
export { cutoffsOf, nextKeptShare, volumeUse, type RetentionPolicy } from './retention.ts'
