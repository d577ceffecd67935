/**
 * Shipping: what is in the journal goes on to others, each with a cursor of its own. `forward/` sends whole records to another Sightline, into Kafka, or as
 * OTLP; `remote-write/` sends samples to whoever takes remote write.
 *
 * Nothing is lost while the journal has room: a receiver that is away is tried again for ever, and its cursor holds what is unsent. What was left
 * out is counted by reason.
 */
export { openForwarders, type Forwarders, type ForwardStatus } from './forward/index.ts'
export { openShippers, type Shippers, type ShippersOptions, type ShipJournal } from './remote-write/index.ts'
