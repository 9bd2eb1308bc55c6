// What a GPU machine downloads: the agent in one file, and the shell loop that keeps it alive.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Artefact {
  /** Relative to `dist/agent/<version>/`. */
  file: string
  sha256: string
  bytes: number
  /** What runs it: `node` (18 or newer) or `sh`; neither depends on the processor. */
  platform: 'node' | 'sh'
}

export interface ArtefactIndex {
  version: string
  artefacts: Artefact[]
}

/** What a build read, to tell a stale one without starting the bundler. */
interface BuildRecord {
  version: string
  inputs: Record<string, string>
}

const repoRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const agentSource = 'src/agent/loop.sh'
const agentEntry = 'src/main/agent.ts'

/** Builds `dist/agent` when a source changed. Returns the index, or undefined when this tree has no agent. */
export async function buildAgent(root: string): Promise<{ index: ArtefactIndex; built: boolean } | undefined> {
  if (!existsSync(join(root, agentEntry))) return undefined
  const out = join(root, 'dist', 'agent')
  const version = readVersion(root)
  const fresh = readFresh(root, out, version)
  if (fresh) return { index: fresh, built: false }
  const bundle = await bundleAgent(root, version)
  const index: ArtefactIndex = { version, artefacts: [] }
  index.artefacts.push(writeArtefact(join(out, version), 'agent.cjs', 'node', bundle.code))
  if (existsSync(join(root, agentSource))) {
    bundle.inputs.push(agentSource)
    index.artefacts.push(writeArtefact(join(out, version), 'loop.sh', 'sh', readFileSync(join(root, agentSource))))
  }
  const record: BuildRecord = { version, inputs: Object.fromEntries(bundle.inputs.map((f) => [f, hashFile(root, f)])) }
  // The record goes last: a build that dies before it is built again.
  writeWhole(join(out, 'index.json'), `${JSON.stringify(index, null, 2)}\n`)
  writeWhole(join(out, 'inputs.json'), JSON.stringify(record))
  return { index, built: true }
}

function readVersion(root: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  return version
}

function readFresh(root: string, out: string, version: string): ArtefactIndex | undefined {
  const files = [join(out, 'inputs.json'), join(out, 'index.json')] as const
  if (!files.every((file) => existsSync(file))) return undefined
  const record = JSON.parse(readFileSync(files[0], 'utf8')) as BuildRecord
  const index = JSON.parse(readFileSync(files[1], 'utf8')) as ArtefactIndex
  const sameInputs = Object.entries(record.inputs).every(([file, hash]) => hashFile(root, file) === hash)
  const loopIsKnown = agentSource in record.inputs === existsSync(join(root, agentSource))
  const allThere = index.artefacts.every(({ file }) => existsSync(join(out, version, file)))
  return record.version === version && sameInputs && loopIsKnown && allThere ? index : undefined
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

function writeArtefact(folder: string, file: string, platform: Artefact['platform'], body: Uint8Array): Artefact {
  writeWhole(join(folder, file), body)
  return { file, sha256: createHash('sha256').update(body).digest('hex'), bytes: body.byteLength, platform }
}

/** Two builds at once, or a download during one, must never see half a file. */
function writeWhole(path: string, body: Uint8Array | string): void {
  mkdirSync(dirname(path), { recursive: true })
  const partial = `${path}.${process.pid}`
  writeFileSync(partial, body)
  renameSync(partial, path)
  rmSync(partial, { force: true })
}

function hashFile(root: string, file: string): string {
  const path = join(root, file)
  return existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex') : 'absent'
}

async function main(quiet: boolean): Promise<void> {
  const result = await buildAgent(repoRoot)
  if (!result) {
    if (!quiet) console.error(`No agent was built: ${agentEntry} is not there.`)
  } else if (result.built || !quiet) {
    const folder = relative(process.cwd(), join(repoRoot, 'dist', 'agent', result.index.version))
    for (const { file, bytes } of result.index.artefacts) {
      console.error(`${result.built ? 'built' : 'fresh'} ${join(folder, file)} (${bytes} bytes)`)
    }
  }
}

if (import.meta.main) await main(process.argv.includes('--quiet'))
