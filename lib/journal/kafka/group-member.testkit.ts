/** One member in a process of its own, which tests kill: says what happens on standard output, a JSON line an event. */
import type { KafkaConfig } from '../../config/index.ts'
import { openKafkaGroup, openKafkaJournal } from '../index.ts'
import { GroupReader } from './group-reader.testkit.ts'

export interface GroupMemberArguments {
  readonly config: KafkaConfig
  readonly node: string
  readonly partitions: number
  readonly commitEveryMs: number
}

if (process.argv[2] !== undefined) {
  const { config, node, partitions, commitEveryMs } = JSON.parse(process.argv[2]) as GroupMemberArguments
  const journal = await openKafkaJournal({ config, partitions, producer: node })
  const onFatal = (error: Error): void => {
    process.stdout.write(`${JSON.stringify({ event: 'fatal', message: error.message })}\n`)
    process.exit(3)
  }
  const group = await openKafkaGroup({ config, partitions, node, onFatal })
  const reader = new GroupReader(journal, group, { commitEveryMs, onEvent: (event) => process.stdout.write(`${JSON.stringify(event)}\n`) })
  await group.join(reader)
}
