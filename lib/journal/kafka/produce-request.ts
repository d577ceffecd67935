/** The produce request over batches that are encoded already: a retry sends the same bytes. Grammar and answer are version 9's (Kafka 2.8 and on). */
import { createAPI, produceV9, Writer } from '@platformatic/kafka'

export interface ProducePart {
  readonly topic: string
  readonly partition: number
  readonly records: Writer
}

const PRODUCE_KEY = 0
const VERSION = 9
const ACKS_ALL = -1

export const produce = createAPI<[timeoutMs: number, parts: readonly ProducePart[]], ReturnType<typeof produceV9.parseResponse>>(
  PRODUCE_KEY,
  VERSION,
  createRequest,
  produceV9.parseResponse,
)

function createRequest(timeoutMs: number, parts: readonly ProducePart[]): Writer {
  const byTopic = Map.groupBy(parts, ({ topic }) => topic)
  return Writer.create()
    .appendString(null)
    .appendInt16(ACKS_ALL)
    .appendInt32(timeoutMs)
    .appendArray([...byTopic], (w, [topic, ofTopic]) => {
      w.appendString(topic).appendArray(ofTopic, (p, { partition, records }) => {
        p.appendInt32(partition)
          .appendUnsignedVarInt(records.length + 1)
          .appendFrom(records)
      })
    })
    .appendTaggedFields()
}
