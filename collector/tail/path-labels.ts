/** What a container's log path says of it. */

export interface PathIdentity {
  readonly labels: Readonly<Record<string, string>>
  readonly metadata: Readonly<Record<string, string>>
}

/** `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log`, as the kubelet lays them out; also after rotation (`0.log.20260102-030405`). */
const POD_LOG = /\/([^/_]+)_([^/_]+)_([^/_]+)\/([^/]+)\/(\d+)\.log(?:\.[^/]*)?$/
/** `/var/log/containers/<pod>_<namespace>_<container>-<id>.log`. */
const CONTAINER_LOG = /\/([^/_]+)_([^/_]+)_([^/]+)-([0-9a-f]{64})\.log(?:\.[^/]*)?$/

export function identityOf(path: string): PathIdentity {
  const pod = POD_LOG.exec(path)
  if (pod !== null) {
    const [, namespace, name, uid, container, restarts] = pod as unknown as string[]
    return {
      labels: { namespace: namespace!, pod: name!, container: container! },
      metadata: { k8s_pod_uid: uid!, k8s_container_restart_count: restarts! },
    }
  }
  const link = CONTAINER_LOG.exec(path)
  if (link !== null) {
    const [, name, namespace, container, id] = link as unknown as string[]
    return { labels: { namespace: namespace!, pod: name!, container: container! }, metadata: { container_id: id! } }
  }
  return { labels: { filename: path }, metadata: {} }
}
