// What a GPU machine downloads: the agent in one file, the shell loop that keeps it alive, and executables with a Node inside.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { agentProtocol } from '../core/agent-protocol.ts'
import { type Artefact, type ArtefactIndex, type ExecutablePlatform, executablePlatforms } from '../wire/artefacts.ts'
import { buildExecutable, executableKey } from './build-executable.ts'
import { buildWeb } from './build-web.ts'
import { dropAbandoned, writeWhole } from './whole-file.ts'

export interface BuildWish {
  /** Also these executables: 7 s and 170 MB for each (measured on two cores), so only where somebody needs them. */
  readonly executables?: readonly ExecutablePlatform[]
  readonly say?: (line: string) => void
}

export interface Built {
  readonly index: ArtefactIndex
  readonly built: boolean
  /** Executables that were wished and could not be built, each with the reason. */
  readonly missing: Readonly<Partial<Record<ExecutablePlatform, string>>>
}

/** What a build read, to tell a stale one without starting the bundler. */
interface BuildRecord {
  readonly version: string
  readonly inputs: Readonly<Record<string, string>>
  /** For each platform what its executable was made of. */
  readonly executables: Readonly<Partial<Record<ExecutablePlatform, string>>>
}

const repoRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const loopSource = 'src/agent/loop.sh'
const agentEntry = 'src/main/agent.ts'

/** Makes `dist/agent` match its sources. Returns the index, or undefined when this tree has no agent. */
export async function buildAgent(root: string, wish: BuildWish = {}): Promise<Built | undefined> {
  if (!existsSync(join(root, agentEntry))) return undefined
  const out = join(root, 'dist', 'agent')
  const version = readVersion(root)
  const folder = join(out, version)
  // An executable that was not finished has 170 MB and a folder of its own.
  dropAbandoned(folder, /\.(\d+)$/)
  dropAbandoned(join(root, 'dist', 'node'), /-\d+\.\d+\.\d+\.(\d+)$/)
  const past = readPast(out, version)
  const fresh = past && plainOnes(past.index).length > 0 && isFresh(root, folder, past) ? past : undefined
  const plain = fresh
    ? { artefacts: plainOnes(fresh.index), inputs: fresh.record.inputs }
    : await buildPlain(root, version, folder)
  const made = await executablesOf(root, folder, plain.artefacts, past, wish)
  const index: ArtefactIndex = { version, protocol: agentProtocol, artefacts: [...plain.artefacts, ...made.artefacts] }
  const built = !fresh || JSON.stringify(index) !== JSON.stringify(fresh.index)
  if (built) {
    const text = `${JSON.stringify(index, null, 2)}\n`
    writeWhole(join(folder, 'index.json'), text)
    writeWhole(join(out, 'index.json'), text)
    // The record goes last: a build that dies before it is built again.
    const record: BuildRecord = { version, inputs: plain.inputs, executables: made.keys }
    writeWhole(join(out, 'inputs.json'), JSON.stringify(record))
  }
  return { index, built, missing: made.missing }
}

interface Past {
  readonly record: BuildRecord
  readonly index: ArtefactIndex
}

/** What the last build of this version left, however old it is. */
function readPast(out: string, version: string): Past | undefined {
  const [recordFile, indexFile] = [join(out, 'inputs.json'), join(out, 'index.json')]
  if (!existsSync(recordFile) || !existsSync(indexFile)) return undefined
  const record = { executables: {}, ...(JSON.parse(readFileSync(recordFile, 'utf8')) as Partial<BuildRecord>) }
  const index = JSON.parse(readFileSync(indexFile, 'utf8')) as ArtefactIndex
  return record.version === version ? { record: record as BuildRecord, index } : undefined
}

const isExecutable = ({ platform }: Artefact): boolean => (executablePlatforms as readonly string[]).includes(platform)
const plainOnes = (index: ArtefactIndex): Artefact[] => index.artefacts.filter((one) => !isExecutable(one))
const allThere = (folder: string, artefacts: readonly Artefact[]): boolean =>
  artefacts.every(({ file }) => existsSync(join(folder, file)))

function isFresh(root: string, folder: string, { record, index }: Past): boolean {
  const sameInputs = Object.entries(record.inputs).every(([file, hash]) => hashFile(root, file) === hash)
  const loopIsKnown = loopSource in record.inputs === existsSync(join(root, loopSource))
  return sameInputs && loopIsKnown && allThere(folder, plainOnes(index))
}

interface Plain {
  readonly artefacts: Artefact[]
  readonly inputs: BuildRecord['inputs']
}

/** What needs no processor of its own: the bundle and the loop. */
async function buildPlain(root: string, version: string, folder: string): Promise<Plain> {
  const { code, inputs } = await bundleAgent(root, version)
  const artefacts = [writeArtefact(folder, 'agent.cjs', 'node', code)]
  if (existsSync(join(root, loopSource))) {
    inputs.push(loopSource)
    artefacts.push(writeArtefact(folder, 'loop.sh', 'sh', readFileSync(join(root, loopSource))))
  }
  return { artefacts, inputs: Object.fromEntries(inputs.map((file) => [file, hashFile(root, file)])) }
}

interface Executables {
  readonly artefacts: Artefact[]
  readonly keys: Partial<Record<ExecutablePlatform, string>>
  readonly missing: Partial<Record<ExecutablePlatform, string>>
}

/** Those that are still right, and where they are wished those that are not. A stale one is taken away: it is another agent. */
async function executablesOf(
  root: string,
  folder: string,
  plain: readonly Artefact[],
  past: Past | undefined,
  wish: BuildWish,
) {
  const all: Executables = { artefacts: [], keys: {}, missing: {} }
  const bundle = plain.find(({ file }) => file === 'agent.cjs')
  for (const platform of executablePlatforms) {
    const before = past?.index.artefacts.filter((one) => one.platform === platform) ?? []
    const wished = wish.executables?.includes(platform) ?? false
    if (!bundle || (before.length === 0 && !wished)) continue
    try {
      const key = await executableKey(root, platform, bundle.sha256)
      const kept = before.length > 0 && past?.record.executables[platform] === key && allThere(folder, before)
      if (!kept) for (const { file } of before) rmSync(join(folder, file), { force: true })
      if (!kept && !wished) continue
      const { say = () => undefined } = wish
      const path = join(folder, bundle.file)
      all.artefacts.push(...(kept ? before : await buildExecutable({ root, platform, bundle: path, folder, say })))
      all.keys[platform] = key
    } catch (error) {
      all.missing[platform] = error instanceof Error ? error.message : String(error)
    }
  }
  return all
}

function readVersion(root: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  return version
}

async function bundleAgent(root: string, version: string): Promise<{ code: Uint8Array; inputs: string[] }> {
  const { build } = await import('esbuild')
  const result = await build({
    absWorkingDir: root,
    entryPoints: [agentEntry],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    // GPU images ship old Nodes; the agent must start on any that still runs.
    target: 'node18',
    format: 'cjs',
    define: { 'process.env.FLIGHTDECK_AGENT_VERSION': JSON.stringify(version) },
    logLevel: 'error',
  })
  const inputs = Object.keys(result.metafile.inputs)
  const foreign = inputs.find((file) => file.includes('node_modules'))
  if (foreign) throw new Error(`The agent may use Node's own modules only, but its bundle holds ${foreign}.`)
  const code = result.outputFiles[0]?.contents
  if (!code) throw new Error('The bundler returned no file for the agent.')
  return { code, inputs: [...inputs, 'src/main/build.ts'] }
}

function writeArtefact(folder: string, file: string, platform: 'node' | 'sh', body: Uint8Array): Artefact {
  writeWhole(join(folder, file), body)
  const sha256 = createHash('sha256').update(body).digest('hex')
  return { file, sha256, bytes: body.byteLength, platform, tested: true }
}

function hashFile(root: string, file: string): string {
  const path = join(root, file)
  return existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex') : 'absent'
}

async function main(args: readonly string[]): Promise<number> {
  const [quiet, executables] = [args.includes('--quiet'), args.includes('--executables')]
  const say = (line: string) => console.error(line)
  const web = await buildWeb(repoRoot)
  if (web || !quiet) say(`${web ? 'built' : 'fresh'} dist/web`)
  const result = await buildAgent(repoRoot, { executables: executables ? executablePlatforms : [], say })
  if (!result) {
    if (!quiet) say(`No agent was built: ${agentEntry} is not there.`)
    return 0
  }
  const { index, built, missing } = result
  const folder = relative(process.cwd(), join(repoRoot, 'dist', 'agent', index.version))
  if (built || !quiet)
    for (const { file, bytes, tested } of index.artefacts)
      say(`${built ? 'built' : 'fresh'} ${join(folder, file)} (${bytes} bytes${tested ? '' : ', untested'})`)
  for (const [platform, why] of Object.entries(missing)) say(`not built: the executable for ${platform}. ${why}`)
  return executables && Object.keys(missing).length === executablePlatforms.length ? 1 : 0
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2))
