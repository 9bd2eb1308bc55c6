import { readdir, readFile, stat } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Failure } from '../core/failure.ts'
import { sha256 } from '../lib/chance.ts'
import { downloadPaths } from '../wire/paths.ts'
import { routes } from '../wire/routes.ts'

export const pageRoute = { method: 'GET', path: '/*', access: 'anyone' } as const

interface File {
  readonly bytes: Buffer
  readonly zipped: Buffer | null
  readonly type: string
  readonly etag: string
}

/** The built dashboard, whole, as of one moment. */
interface Site {
  /** Of index.html, which a build writes last. */
  readonly stamp: string
  readonly files: ReadonlyMap<string, File>
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
}
const alreadySmall = ['.png', '.ico', '.woff2']
const indexFile = 'index.html'
// Their names carry a hash of what is in them, so they are never another file.
const hashedFolder = 'assets/'
const zip = promisify(gzip)

/** What the contract has under its own first word is never a page; nor is what clients of a gateway ask for. */
const taken = new Set([...Object.values(routes).map(({ path }) => path), downloadPaths.index, '/v1'].map(firstWord))

/**
 * Serves the dashboard from memory: some hundred kilobytes, compressed once. Only files that lay in the folder when it was
 * read are there, so a path from outside is never opened. Any other path is a page of the dashboard, which reads it itself.
 */
export function makePages(webDir: string | undefined, isOverTls: (request: FastifyRequest) => boolean) {
  let site: Promise<Site | null> = Promise.resolve(null)

  /** Read anew when a build has put another page there; several who ask at once wait for the same reading. */
  function fresh(): Promise<Site | null> {
    site = site.catch(() => null).then(async (before) => (webDir === undefined ? null : renewed(webDir, before)))
    return site
  }

  return {
    async send(request: FastifyRequest, reply: FastifyReply) {
      const path = pathOf(request)
      if (taken.has(firstWord(path))) throw new Failure('not_found', `There is no GET ${path.slice(0, 200)}.`)
      const name = path.slice(1)
      const known = (await site)?.files.get(name)
      if (known && name.startsWith(hashedFolder)) return sendFile(name, known, request, reply)
      const now = await fresh()
      if (!now) throw notBuilt()
      const file = now.files.get(name)
      if (file) return sendFile(name, file, request, reply)
      const page = now.files.get(indexFile)
      if (!page || name.startsWith(hashedFolder) || looksLikeFile(name))
        throw new Failure('not_found', `There is no file ${path.slice(0, 200)}.`)
      reply.header('content-security-policy', policyFor(request.headers.host ?? '', isOverTls(request)))
      return sendFile(indexFile, page, request, reply)
    },
  }
}

const looksLikeFile = (name: string): boolean => /\.[a-z0-9]{1,11}$/i.test(name)

function firstWord(path: string): string {
  return path.split('/', 2)[1] ?? ''
}

function pathOf(request: FastifyRequest): string {
  const path = request.url.split('?', 1)[0] ?? '/'
  return path === `/${indexFile}` ? '/' : path
}

const notBuilt = (): Failure =>
  new Failure('not_found', 'The dashboard was not built here.', {
    remedy: 'Run `npm run build` where the control plane lies. The API works without it, and so does the command line.',
  })

/** Nothing but files and calls of this address: what an engine logs, or a model is called, can bring no script in. */
function policyFor(host: string, overTls: boolean): string {
  // Said for browsers to which 'self' does not mean sockets. The host was checked; whatever else is in it is left out.
  const socket = /^[\w.:[\]-]+$/.test(host) ? ` ${overTls ? 'wss' : 'ws'}://${host}` : ''
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "font-src 'self'",
    "manifest-src 'self'",
    `connect-src 'self'${socket}`,
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ')
}

async function renewed(webDir: string, before: Site | null): Promise<Site | null> {
  const found = await stat(join(webDir, indexFile)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw error
  })
  if (!found) return null
  const stamp = `${found.mtimeMs} ${found.size} ${found.ino}`
  return before?.stamp === stamp ? before : { stamp, files: await readAll(webDir) }
}

async function readAll(webDir: string): Promise<Map<string, File>> {
  const entries = await readdir(webDir, { withFileTypes: true, recursive: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const read = files.map(async (path) => [relative(webDir, path).replaceAll(sep, '/'), await readOne(path)] as const)
  return new Map(await Promise.all(read))
}

async function readOne(path: string): Promise<File> {
  const bytes = await readFile(path)
  const kind = extname(path).toLowerCase()
  const zipped = alreadySmall.includes(kind) ? null : await zip(bytes, { level: 9 })
  return {
    bytes,
    zipped: zipped && zipped.length < bytes.length ? zipped : null,
    type: types[kind] ?? 'application/octet-stream',
    etag: `"${sha256(bytes)}"`,
  }
}

function sendFile(name: string, { bytes, zipped, type, etag }: File, request: FastifyRequest, reply: FastifyReply) {
  const keeps = name.startsWith(hashedFolder) ? 'public, max-age=31536000, immutable' : 'no-cache'
  reply.header('cache-control', keeps).header('etag', etag).header('vary', 'accept-encoding')
  if (request.headers['if-none-match'] === etag) return reply.code(304).send()
  reply.type(type)
  if (zipped === null || !takesGzip(request)) return reply.send(bytes)
  return reply.header('content-encoding', 'gzip').send(zipped)
}

const takesGzip = ({ headers }: FastifyRequest): boolean =>
  /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(String(headers['accept-encoding'] ?? ''))
