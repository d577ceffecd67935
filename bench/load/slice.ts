/**
 * What a sender has ready before anything is measured. A *slice* is the load of one round; its requests go out in *lanes*, one after another within a lane
 * and the lanes at the same time, so that samples of one series arrive in the order of their times.
 */
export interface Slice {
  /** Samples, lines or spans. */
  readonly items: number
  readonly lanes: readonly (readonly Request[])[]
  /** Files to put where a tailer looks, complete at once. */
  readonly files?: readonly { readonly path: string; readonly bytes: Uint8Array }[]
}

export interface Request {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** Deals requests to lanes in turn, as many as there are. */
export function inLanes(requests: readonly Request[], laneCount: number): Request[][] {
  const lanes: Request[][] = Array.from({ length: laneCount }, () => [])
  requests.forEach((request, i) => lanes[i % laneCount]!.push(request))
  return lanes
}
