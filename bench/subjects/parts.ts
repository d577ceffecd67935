/** What a subject has used until now, whole and by role: each process is read once, so that the roles that are ours add up to the whole. */
import type { Split } from '../measure/split.ts'
import { sumOf, type Part, type Subject } from './subject.ts'

export function cpuSplit(subject: Subject): Split {
  return subject.parts.length === 0 ? { whole: subject.cpuSeconds(), parts: {} } : splitOf(subject.parts, (part) => part.cpuSeconds())
}

/** Memory; what isn't ours is left out, as a Java heap is as large as it may be. */
export function rssSplit(subject: Subject): Split {
  if (subject.parts.length === 0) return { whole: subject.rssBytes(), parts: {} }
  return splitOf(
    subject.parts.filter(({ isOurs }) => isOurs),
    (part) => part.rssBytes(),
  )
}

function splitOf(parts: readonly Part[], value: (part: Part) => number): Split {
  const read = parts.map((part) => ({ part, value: value(part) }))
  return {
    whole: sumOf(read, (one) => (one.part.isOurs ? one.value : 0)),
    parts: Object.fromEntries(read.map((one) => [one.part.role, one.value])),
  }
}
