/**
 * `remote_write`: metrics of the tenant `default` go to whoever takes remote write, one shipper an entry.
 *
 * A shipper follows the journal's metrics partitions with a cursor of its own, decodes rows, applies `write_relabel_configs`, and sends remote
 * write 1.0 in requests of at most `max_samples_per_send` samples, one after another, so that the samples of a series arrive in their order.
 * What it sent is written to `ship/remote-write-<name>.json` every second; after a kill that second is sent again, which receivers recognise by time and
 * value. A new entry starts at the journal's end.
 *
 * Nothing is lost while the journal has room: 5xx, 429 and broken connections are tried again for ever, and the cursor holds what is unsent. When
 * the journal is three quarters full the cursor lets go, so that a dead receiver never stops our own: what is then deleted unsent is counted.
 * Every sample left out is counted by its reason in `sightline_remote_write_samples_total`.
 *
 * Memory: one read of the journal, the layouts of a million series. Cost: one sender an entry, about a microsecond a sample.
 * Differs from Prometheus: no shards, no remote write 2.0 (refused), waits `batch_send_deadline` or a second, whichever is shorter.
 */
export { openShippers, type Shippers, type ShippersOptions } from './shippers.ts'
export type { ShipJournal } from './shipper.ts'
