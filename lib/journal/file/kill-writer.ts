/** Started by the kill -9 test: appends with 16 writers and prints each record's text once it is durable. */
import { writeSync } from 'node:fs'
import { openFileJournal } from '../index.ts'

const journal = await openFileJournal({
  dir: process.argv[2]!,
  partitions: 4,
  segmentBytes: 256 * 1024,
  bytesMax: 1024 * 1024 * 1024,
  onFull: 'push_back',
  queueBytesMax: 64 * 1024 * 1024,
  producer: 'killed',
  onFatal: (error) => {
    throw error
  },
})
let n = 0
const write = async (): Promise<void> => {
  for (;;) {
    const text = `record ${n++}`
    await journal.append('logs', 0, { encoding: 'otlp', tenant: 'default', items: 1, payload: new Uint8Array(Buffer.from(text)) })
    writeSync(1, `${text}\n`)
  }
}
await Promise.all(Array.from({ length: 16 }, write))
