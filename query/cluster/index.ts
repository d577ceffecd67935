/**
 * Query nodes that answer together. A query at any of them is asked of all: what a node holds, only it has (a partition that moved left its history where it was
 * written), and the answers are merged like those of its own workers.
 *
 * A node that is away is found out by a probe every second and costs a query nothing; one that is slow costs it at most `query_cluster.timeout`. What an
 * answer then lacks is said (`QueryNotes`): the API turns it into a warning, and rules don't change an alert by it.
 *
 * Fragments travel as V8's structured clone, as between threads; the tenant is a header that the other node checks like any client's.
 */
export { Cluster, type ClusterOptions } from './cluster.ts'
export { NodeClient, SHARD_PATH, type NodeStatus } from './node-client.ts'
export { decodeFragmentCall, encodeFragmentAnswer, type FragmentCall } from './wire.ts'
