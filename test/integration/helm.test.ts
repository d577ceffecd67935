/** The chart, rendered by the real Helm for its five examples: what comes out is checked object by object, and the configuration files by our own parser. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fastify from 'fastify'
import { parse } from 'yaml'
import { beforeAll, describe, expect, test } from 'vitest'
import { parseConfig, type Config } from '../../lib/config/index.ts'
import { adminApi } from '../../query/api/admin/index.ts'
import {
  identityProblems,
  privilegeProblems,
  referenceProblems,
  roleProblems,
  ROOT_CONTAINER,
  selectorProblems,
} from '../harness/chart-checks.ts'
import { HELM_BUILD_DEADLINE_MS, KUBERNETES_VERSION, resolveHelm, runHelm, whyNoHelm, type HelmRun } from '../harness/helm.ts'
import { mountedFiles, parseRendered, workloadsOf, type KubeObject, type Workload } from '../harness/rendered.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const CHART = join(ROOT, 'helm/sightline')
const EXAMPLES = ['laptop', 'one-cluster', 'edge-site', 'region', 'centre'] as const
const RELEASE = 'obs'
const NAMESPACE = 'observability'

const hasHelm = whyNoHelm() === undefined
let helm = ''

beforeAll(async () => {
  if (hasHelm) helm = await resolveHelm()
}, HELM_BUILD_DEADLINE_MS)

function template(...args: string[]): HelmRun {
  return runHelm(helm, ['template', RELEASE, CHART, '--namespace', NAMESPACE, '--kube-version', KUBERNETES_VERSION, ...args])
}

function render(...args: string[]): KubeObject[] {
  const { status, stdout, stderr } = template(...args)
  if (status !== 0) throw new Error(stderr)
  return parseRendered(stdout)
}

const valuesOf = (example: string): string => join(CHART, 'values', `${example}.yaml`)
const ofKind = (objects: readonly KubeObject[], kind: string): KubeObject[] => objects.filter((object) => object.kind === kind)

/** The configuration of a workload, read as the process would read it, with exactly the environment its container has. */
function configOf(workload: Workload, objects: readonly KubeObject[]): Config {
  const [container] = workload.pod.containers
  const env = Object.fromEntries(
    (container!.env ?? []).map(({ name, value }) => [name, value ?? `value-of-${name.toLowerCase().replaceAll('_', '-')}`]),
  )
  const { configMap } = workload.pod.volumes.find(({ name }) => name === 'config')!
  const text = ofKind(objects, 'ConfigMap').find(({ metadata }) => metadata.name === configMap!.name)!.data!['sightline.yml']!
  const { config, warnings } = parseConfig(text, `${configMap!.name}/sightline.yml`, env)
  expect(warnings).toEqual([])
  return config
}

test.runIf(hasHelm)('there is an example for each value file, and no other', () => {
  expect(readdirSync(join(CHART, 'values')).toSorted()).toEqual(EXAMPLES.map((name) => `${name}.yaml`).toSorted())
})

describe.runIf(hasHelm).each(EXAMPLES)('%s', (example) => {
  let objects: KubeObject[]
  let workloads: Workload[]

  beforeAll(() => {
    objects = render('--values', valuesOf(example))
    workloads = workloadsOf(objects)
  })

  test('passes lint', () => {
    const { status, stdout, stderr } = runHelm(helm, [
      'lint',
      '--strict',
      CHART,
      '--values',
      valuesOf(example),
      '--kube-version',
      KUBERNETES_VERSION,
    ])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain('1 chart(s) linted, 0 chart(s) failed')
  })

  test('every object has a name of its own, the namespace, and the labels of the release', () => {
    expect(objects.length).toBeGreaterThan(6)
    expect(identityProblems(objects, RELEASE, NAMESPACE)).toEqual([])
  })

  test('configuration files pass our own checks, and every file they name is mounted', () => {
    expect(workloads.length).toBeGreaterThan(0)
    for (const workload of workloads) {
      const config = configOf(workload, objects)
      expect(config.server.listen).toEqual({ host: '0.0.0.0', port: 9428 })
      expect(config.server.tokens.length).toBeGreaterThan(0)
      const [container] = workload.pod.containers
      const keysOf = (name: string): string[] =>
        Object.keys(ofKind(objects, 'ConfigMap').find(({ metadata }) => metadata.name === name)!.data!)
      const mounted = mountedFiles(container!, workload.pod.volumes, keysOf)
      const configMap = workload.pod.volumes.find(({ name }) => name === 'config')!.configMap!.name
      const text = ofKind(objects, 'ConfigMap').find(({ metadata }) => metadata.name === configMap)!.data!['sightline.yml']!
      const named = [...text.matchAll(/\/etc\/sightline\/[\w./-]+/g)].map(([path]) => path)
      expect(named.length).toBeGreaterThan(0)
      expect([...new Set(named)].filter((path) => !mounted.has(path))).toEqual([])
      // And nothing is mounted that isn't asked for: a token too many is a permission too many.
      expect([...mounted].filter((path) => !named.includes(path) && !path.endsWith('/sightline.yml'))).toEqual([])
      expect(container!.args).toEqual(expect.arrayContaining(['--config', '/etc/sightline/config/sightline.yml']))
    }
  })

  test('selectors find pods of this release, and services ports that the pods have', () => {
    expect(selectorProblems(objects)).toEqual([])
  })

  test('what pods refer to is rendered, or named in the values', () => {
    expect(referenceProblems(objects, readFileSync(valuesOf(example), 'utf8'))).toEqual([])
  })

  test('no container can become more than it is', () => {
    expect(workloads.flatMap(privilegeProblems)).toEqual([])
    // The one exception is the agent's, and there is no other.
    const roots = workloads.filter(({ pod }) => (pod.initContainers ?? []).length > 0)
    expect(roots.map(({ object, pod }) => [object.kind, ...pod.initContainers!.map(({ name }) => name)])).toEqual(
      workloads.filter(({ object }) => object.kind === 'DaemonSet').map(() => ['DaemonSet', ROOT_CONTAINER]),
    )
  })

  test('roles of the cluster name what they need, and no secrets', () => {
    expect(roleProblems(objects, NAMESPACE)).toEqual([])
  })

  test('no token is in a ConfigMap', () => {
    const tokens = ofKind(objects, 'Secret').flatMap(({ data }) =>
      Object.values(data!).flatMap((value) => [value, Buffer.from(value, 'base64').toString()]),
    )
    expect(new Set(tokens).size).toBe(8)
    const texts = ofKind(objects, 'ConfigMap').flatMap(({ data }) => Object.values(data!))
    expect(tokens.filter((token) => texts.some((text) => text.includes(token)))).toEqual([])
    for (const text of texts) expect(text).not.toMatch(/^\s*(password|token|credentials|api_key|bearer_token):/m)
  })

  test('probes ask routes that the process has and that need no token', async () => {
    const app = fastify()
    const open = new Set<string>()
    app.addHook('onRoute', ({ url, config }) => {
      if ((config as { permission?: string } | undefined)?.permission === 'none') open.add(url)
    })
    await app.register(adminApi({ waiting: () => '', reload: async () => {}, metrics: async () => '' }))
    for (const { pod } of workloads) {
      const [container] = pod.containers
      for (const probe of [container!.startupProbe, container!.livenessProbe, container!.readinessProbe]) {
        expect(open).toContain(probe?.httpGet.path)
        expect(container!.ports!.map(({ name }) => name)).toContain(probe?.httpGet.port)
      }
      expect(container!.readinessProbe?.httpGet.path).toBe('/-/ready')
    }
    await app.close()
  })
})

describe.runIf(hasHelm)('who ships where', () => {
  const workloadNamed = (objects: readonly KubeObject[], name: string): Workload =>
    workloadsOf(objects).find(({ object }) => object.metadata.name === name)!

  test('one cluster: agents and scraper ship to the one process, with a token that may only write', () => {
    const objects = render('--values', valuesOf('one-cluster'))
    for (const name of ['obs-agent', 'obs-scraper']) {
      const { ship, cluster } = configOf(workloadNamed(objects, name), objects)
      expect(cluster).toBe('production')
      expect(ship).toMatchObject([
        { type: 'http', url: `http://obs.${NAMESPACE}.svc:9428`, authorization: { credentials_file: '/etc/sightline/tokens/collectors' } },
      ])
    }
    const { tokens } = configOf(workloadNamed(objects, 'obs-single'), objects).server
    expect(tokens.find(({ name }) => name === 'collectors')).toMatchObject({ permissions: ['write'], tenants: ['*'] })
    expect(tokens.find(({ name }) => name === 'grafana')).toMatchObject({ permissions: ['read'], tenants: ['default'] })
    expect(workloadsOf(objects).map(({ pod }) => pod.containers[0]!.args![0])).toEqual(expect.arrayContaining(['all', 'collector']))
  })

  test('edge site: nothing is kept here for good, everything goes to the region, and the disks of the nodes are the buffer', () => {
    const objects = render('--values', valuesOf('edge-site'))
    expect(
      workloadsOf(objects)
        .map(({ object }) => object.kind)
        .toSorted(),
    ).toEqual(['DaemonSet', 'Deployment'])
    const { ship, journal, node } = configOf(workloadNamed(objects, 'obs-scraper'), objects)
    expect(node).toBe('store-0815.scraper')
    expect(journal).toMatchObject({ size_max: 100 * 2 ** 30, on_full: 'drop_oldest' })
    expect(ship).toMatchObject([
      {
        type: 'http',
        url: 'https://sightline-2.region-north.example.com',
        authorization: { credentials_file: '/etc/sightline/ship/token' },
      },
    ])
    expect(configOf(workloadNamed(objects, 'obs-agent'), objects).node).toBe('store-0815.agent.value-of-node-name')
  })

  test('region: the nodes name each other, and each has an address for its sites', () => {
    const objects = render('--values', valuesOf('region'))
    const { query_cluster, journal, node } = configOf(workloadNamed(objects, 'obs-query'), objects)
    expect(node).toBe('value-of-pod-name')
    expect(journal.type).toBe('file')
    expect(query_cluster.nodes).toEqual([0, 1, 2].map((i) => `http://obs-query-${i}.obs-query-headless.${NAMESPACE}.svc:9428`))
    expect(query_cluster.client.authorization?.credentials_file).toBe('/etc/sightline/tokens/nodes')
    expect(ofKind(objects, 'Service').map(({ metadata }) => metadata.name)).toEqual(
      expect.arrayContaining(['obs-query-0', 'obs-query-1', 'obs-query-2']),
    )
  })

  test('centre: Kafka between collectors and query nodes, logs in Elasticsearch, credentials from Secrets', () => {
    const objects = render('--values', valuesOf('centre'))
    const query = configOf(workloadNamed(objects, 'obs-query'), objects)
    expect(query.journal.type).toBe('kafka')
    expect(query.logs.store).toBe('elasticsearch')
    expect(query.elasticsearch).toMatchObject({
      username: 'value-of-elasticsearch-username',
      password_file: '/etc/sightline/elasticsearch/password',
    })
    const agent = configOf(workloadNamed(objects, 'obs-agent'), objects)
    expect(agent.ship).toMatchObject([{ name: 'kafka', type: 'kafka' }])
    expect(agent.kafka).toMatchObject({ sasl: { username: 'value-of-kafka-username', password_file: '/etc/sightline/kafka/password' } })
    expect(agent.elasticsearch).toBeUndefined()
    expect(query.query_cluster.nodes).toHaveLength(4)
  })

  test('a configuration of the values goes over that of the chart', () => {
    const objects = render('--values', valuesOf('laptop'), '--set', 'single.config.limits.series_max=1000')
    const config = configOf(workloadNamed(objects, 'obs-single'), objects)
    expect(config.limits.series_max).toBe(1000)
    expect(config.retention.metrics).toBe(2 * 86_400_000)
    expect(config.server.tokens).toHaveLength(3)
  })
})

describe.runIf(hasHelm)('Grafana', () => {
  test('dashboards are those of the repository, letter by letter', () => {
    const maps = ofKind(render('--values', valuesOf('one-cluster')), 'ConfigMap').filter(
      ({ metadata }) => metadata.labels?.['grafana_dashboard'] === '1',
    )
    const files = readdirSync(join(ROOT, 'dashboards')).filter((name) => name.endsWith('.json'))
    expect(files.length).toBeGreaterThan(0)
    expect(Object.assign({}, ...maps.map(({ data }) => data))).toEqual(
      Object.fromEntries(files.map((name) => [name, readFileSync(join(ROOT, 'dashboards', name), 'utf8').trimEnd()])),
    )
  })

  test('datasources are those of the repository with the address of the release, and the token from the environment', () => {
    const [map] = ofKind(render('--values', valuesOf('one-cluster')), 'ConfigMap').filter(
      ({ metadata }) => metadata.labels?.['grafana_datasource'] === '1',
    )
    const rendered = parse(map!.data!['sightline.yaml']!) as { datasources: { uid: string; url: string; secureJsonData: object }[] }
    const own = parse(readFileSync(join(ROOT, 'dashboards/provisioning/datasources/sightline.yaml'), 'utf8')) as typeof rendered
    expect(rendered.datasources.map(({ uid }) => uid)).toEqual(own.datasources.map(({ uid }) => uid))
    for (const [i, { url, secureJsonData }] of rendered.datasources.entries()) {
      expect(url).toBe(own.datasources[i]!.url.replace('$SIGHTLINE_URL', `http://obs.${NAMESPACE}.svc:9428`))
      expect(secureJsonData).toEqual({ httpHeaderValue1: 'Bearer $SIGHTLINE_TOKEN' })
    }
  })
})

describe.runIf(hasHelm)('wrong values are refused by name', () => {
  test.each([
    ['an unknown mode', ['mode=cluster'], "at '/mode': value must be one of 'single', 'fleet'"],
    ['a misspelt key', ['querry.replicas=2'], "additional properties 'querry' not allowed"],
    ['a misspelt key inside', ['query.replica=2'], "at '/query': additional properties 'replica' not allowed"],
    ['no query node', ['mode=fleet', 'query.replicas=0'], "at '/query/replicas': minimum: got 0, want 1"],
    ['an agent of root', ['agent.runAsUser=0'], "at '/agent/runAsUser': minimum: got 0, want 1"],
    ['a broker without a port', ['kafka.brokers={kafka}'], "at '/kafka/brokers/0'"],
    ['Kafka without brokers', ['mode=fleet', 'query.journal=kafka'], "at '/kafka/brokers': minItems: got 0, want 1"],
    ['SASL without a Secret', ['kafka.sasl.mechanism=PLAIN'], "at '/kafka/sasl/secret/name'"],
    ['a size of another notation', ['agent.data.sizeMax=4 GB please'], "at '/agent/data/sizeMax'"],
    ['a volume of no size', ['single.persistence.size=big'], "at '/single/persistence/size'"],
    ['collectors without a place to ship to', ['mode=fleet', 'query.enabled=false'], 'collectors have nowhere to ship to: set ship.url'],
  ])('%s', (_, sets, message) => {
    const { status, stderr } = template(...sets.flatMap((set) => ['--set', set]))
    expect(status).not.toBe(0)
    expect(stderr).toContain(message)
  })
})

describe.runIf(hasHelm)('the checks above see', () => {
  const broken = (change: (objects: KubeObject[]) => void): KubeObject[] => {
    const objects = render('--values', valuesOf('one-cluster'))
    change(objects)
    return objects
  }
  const found = (objects: KubeObject[], kind: string): KubeObject => ofKind(objects, kind)[0]!
  const agentOf = (objects: KubeObject[]): Workload => workloadsOf(objects).find(({ object }) => object.kind === 'DaemonSet')!

  test("a service that leads nowhere, and a port that isn't there", () => {
    const objects = broken((all) => {
      const [first, second] = ofKind(all, 'Service') as unknown as {
        spec: { selector: Record<string, string>; ports: { targetPort: string }[] }
      }[]
      first!.spec.selector['app.kubernetes.io/component'] = 'other'
      second!.spec.ports[0]!.targetPort = 'metrics'
    })
    expect(selectorProblems(objects)).toEqual([
      expect.stringContaining('selects nothing'),
      expect.stringContaining('leads to the port metrics'),
    ])
  })

  test('an object without labels, and one of another namespace', () => {
    const objects = broken((all) => Object.assign(found(all, 'PodDisruptionBudget').metadata, { labels: {}, namespace: 'elsewhere' }))
    expect(identityProblems(objects, RELEASE, NAMESPACE)).toHaveLength(3)
  })

  test('a Secret and a ServiceAccount that nobody makes', () => {
    const objects = broken((all) => {
      Object.assign(found(all, 'Secret').metadata, { name: 'other' })
      Object.assign(found(all, 'ServiceAccount').metadata, { name: 'other' })
    })
    const problems = referenceProblems(objects, '')
    expect(problems).toContain('there is no Secret/obs-tokens')
    expect(problems.some((problem) => problem.startsWith('there is no ServiceAccount/'))).toBe(true)
  })

  test("root, capabilities, a writable root and the host's network", () => {
    const objects = broken((all) => {
      const { pod } = agentOf(all)
      Object.assign(pod, { hostNetwork: true })
      Object.assign(pod.securityContext, { runAsUser: 0 })
      Object.assign(pod.containers[0]!.securityContext, {
        readOnlyRootFilesystem: false,
        capabilities: { drop: ['ALL'], add: ['NET_RAW'] },
        runAsUser: 0,
      })
      Object.assign(pod.initContainers![0]!, { name: 'other' })
    })
    expect(
      privilegeProblems(agentOf(objects))
        .map((problem) => problem.replace('DaemonSet/obs-agent: ', ''))
        .toSorted(),
    ).toEqual([
      'hostNetwork',
      'other adds CHOWN',
      'other may be root',
      'sightline adds NET_RAW',
      'sightline may be root',
      'sightline may write its root file system',
      'the pod may be root',
    ])
  })

  test('a role of everything, and a token of Kubernetes for nothing', () => {
    const objects = broken((all) => {
      found(all, 'ClusterRole').rules![0]!.verbs.push('*')
      Object.assign(workloadsOf(all).find(({ object }) => object.kind === 'StatefulSet')!.pod, { automountServiceAccountToken: true })
    })
    expect(roleProblems(objects, NAMESPACE)).toHaveLength(3)
  })
})

test('the image holds the folders the program is made of, and what is ignored for it is not among them', () => {
  const copied = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
    .split('\n')
    .filter((line) => /^COPY (?!--from)/.test(line))
  const inImage = new Set(copied.flatMap((line) => line.split(' ').slice(1, -1)))
  const shown = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1))
  expect([...inImage].toSorted()).toEqual(shown.toSorted())
  const imported = ['main.ts', 'system.ts'].flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(/from '\.\/([\w.-]+)/g)].map(([, name]) => name!),
  )
  expect(imported.length).toBeGreaterThan(5)
  expect(imported.filter((name) => !inImage.has(name))).toEqual([])
})

test.runIf(hasHelm)('what the README says of values is what the chart has', () => {
  const readme = readFileSync(join(CHART, 'README.md'), 'utf8')
  const table = readme.slice(readme.indexOf('## Values'), readme.indexOf('## Tokens'))
  const named = [...table.matchAll(/^\| `([\w.]+)` \|/gm)].map(([, path]) => path!)
  const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')) as object
  const has = (path: string): boolean => {
    let at: unknown = values
    for (const key of path.split('.')) at = (at as Record<string, unknown> | undefined)?.[key]
    return at !== undefined
  }
  expect(named.length).toBeGreaterThan(20)
  expect(named.filter((path) => !has(path))).toEqual([])
  for (const example of EXAMPLES) {
    expect(existsSync(valuesOf(example))).toBe(true)
    expect(readme).toContain(`values/${example}.yaml`)
  }
})
