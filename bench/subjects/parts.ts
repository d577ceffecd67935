/** What a subject has used until now, whole and by role. */
import type { Split } from '../measure/split.ts'
import type { Subject } from './subject.ts'

export function cpuSplit(subject: Subject): Split {
  return { whole: subject.cpuSeconds(), parts: Object.fromEntries(subject.parts.map((part) => [part.role, part.cpuSeconds()])) }
}

/** Memory; what isn't ours is left out, as a Java heap is as large as it may be. */
export function rssSplit(subject: Subject): Split {
  const ours = subject.parts.filter(({ isOurs }) => isOurs)
  return { whole: subject.rssBytes(), parts: Object.fromEntries(ours.map((part) => [part.role, part.rssBytes()])) }
}
