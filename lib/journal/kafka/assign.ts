/**
 * Who gets which units, decided by the group's leader. A **unit** is what must lie with one member: the partitions of one number of all signals. Balanced (counts differ by one at
 * most), sticky (what a member has it keeps, up to its share), and cooperative: what another still has is not given out in this round; once that member gave it up it
 * joins again, and the next round deals it out.
 */
export interface AssignableMember {
  readonly id: string
  /** Decides between members that are otherwise equal. */
  readonly name: string
  readonly owned: readonly number[]
  /** Of the generation in which it got them. */
  readonly generation: number
}

/** Units by member id, ascending; every member is in it. Cost: members × units. */
export function assignUnits(members: readonly AssignableMember[], unitCount: number): Map<string, number[]> {
  const { ownerOf, contested } = ownersOf(members)
  const current = new Map(members.map(({ id }) => [id, [] as number[]]))
  for (let unit = 0; unit < unitCount; unit++) {
    const owner = ownerOf.get(unit)
    if (owner !== undefined) current.get(owner)!.push(unit)
  }
  const base = Math.floor(unitCount / members.length)
  const larger = unitCount % members.length
  const ranked = members.toSorted((a, b) => current.get(b.id)!.length - current.get(a.id)!.length || (a.name < b.name ? -1 : 1))
  const shareOf = new Map(ranked.map(({ id }, i) => [id, i < larger ? base + 1 : base]))
  const out = new Map(ranked.map(({ id }) => [id, current.get(id)!.slice(0, shareOf.get(id))]))
  const kept = new Set([...out.values()].flat())
  const pool = Array.from({ length: unitCount }, (_, unit) => unit).filter((unit) => !kept.has(unit))
  // What is free goes first, so that nobody waits for another's hand-over while there is something to have.
  const isFree = (unit: number): boolean => !ownerOf.has(unit) && !contested.has(unit)
  const order = [...pool.filter(isFree), ...pool.filter((unit) => !isFree(unit))]
  for (const { id } of ranked) {
    const units = out.get(id)!
    for (const unit of order.splice(0, shareOf.get(id)! - units.length)) if (isFree(unit)) units.push(unit)
    units.sort((a, b) => a - b)
  }
  return out
}

/** Two members may claim a unit: the newer generation is right. Of one generation, both give it up first. */
function ownersOf(members: readonly AssignableMember[]): { ownerOf: Map<number, string>; contested: Set<number> } {
  const best = new Map<number, AssignableMember>()
  const contested = new Set<number>()
  for (const member of members) {
    for (const unit of member.owned) {
      const rival = best.get(unit)
      if (rival !== undefined && rival.generation > member.generation) continue
      if (rival !== undefined && rival.generation === member.generation) contested.add(unit)
      else contested.delete(unit)
      best.set(unit, member)
    }
  }
  const ownerOf = new Map([...best].filter(([unit]) => !contested.has(unit)).map(([unit, { id }]) => [unit, id]))
  return { ownerOf, contested }
}
