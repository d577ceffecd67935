/**
 * Whole records to others: to another Sightline over HTTP, into Kafka's topics, or as OTLP. One forwarder a `ship` entry follows the journal with a cursor
 * of its own.
 *
 * A record goes to partition p modulo the count over there, with the mark it has here, so a resend is the same record: who takes it leaves out what
 * it has, and says where something is missing. Then the forwarder goes back, as far as the journal reaches; beyond that the gap is counted there, with its
 * producer. How far a destination is lies in `ship/forward-<name>.json`, written every second; after a kill that second is sent again.
 *
 * The journal keeps what isn't shipped: when it is full it pushes back (`journal.on_full: push_back`), or drops the oldest, counted here and seen as a gap
 * over there.
 */
export type { ForwardStatus } from './forwarder.ts'
export { openForwarders, type Forwarders, type ForwardersOptions } from './forwarders.ts'
