/** A measured number of the whole system and of its parts, by role. Parts that aren't ours (Kafka) are named and not in the whole. */
export interface Split {
  readonly whole: number
  readonly parts: Readonly<Record<string, number>>
}

export function mapSplit({ whole, parts }: Split, of: (value: number) => number): Split {
  return { whole: of(whole), parts: Object.fromEntries(Object.entries(parts).map(([role, value]) => [role, of(value)])) }
}

/** Role by role; both have the same. */
export function minus(a: Split, b: Split): Split {
  return {
    whole: a.whole - b.whole,
    parts: Object.fromEntries(Object.entries(a.parts).map(([role, value]) => [role, value - b.parts[role]!])),
  }
}

export function plus(a: Split, b: Split): Split {
  return minus(
    a,
    mapSplit(b, (value) => -value),
  )
}

/** Nanoseconds an item. */
export function eachNs(cpuSeconds: Split, items: number): Split {
  return mapSplit(cpuSeconds, (seconds) => (seconds * 1e9) / items)
}

export function mebibytes(bytes: Split): Split {
  return mapSplit(bytes, (value) => value / 2 ** 20)
}
