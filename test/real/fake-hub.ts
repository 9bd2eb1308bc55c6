import { createHash } from 'node:crypto'
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

const commit = createHash('sha1').update('the one commit').digest('hex')

export interface FakeHub {
  readonly url: string
  /** Method and path of what was asked for, in order. */
  readonly asked: readonly string[]
  close(): Promise<void>
}

/**
 * The few routes of a model hub that its Python library needs, on loopback: `lab/tiny` for everybody, `lab/gated` for
 * the token `hf_good`. The words of its refusals are those of the real one, as its documentation has them.
 */
export async function fakeHub(folderOf: () => string): Promise<FakeHub> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://host').pathname
    asked.push(`${request.method} ${path}`)
    answer(folderOf(), path, request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

const repositories = ['lab/tiny', 'lab/gated']

function answer(folder: string, path: string, request: IncomingMessage, response: ServerResponse): void {
  const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? null
  const api = /^\/api\/models\/([^/]+\/[^/]+)(?:\/(revision|tree)\/([^/]+))?$/.exec(path)
  const file = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path)
  const [repository = '', revision = 'main'] = api ? [api[1], api[3]] : file ? [file[1], file[2]] : []
  const found = repositories.includes(repository)
  if (token !== null && !['hf_good', 'hf_stranger'].includes(token))
    refuse(response, 401, null, 'Invalid credentials in Authorization header')
  else if (!found) refuse(response, token === null ? 401 : 404, 'RepoNotFound', 'Repository not found')
  else if (!['main', commit].includes(revision))
    refuse(response, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`)
  else if (api) send(response, api[2] === 'tree' ? treeOf(folder) : aboutOf(folder, repository))
  else if (repository === 'lab/gated' && token !== 'hf_good') refuseGated(response, repository, token)
  else sendFile(join(folder, file?.[3] ?? ''), request, response)
}

function refuseGated(response: ServerResponse, repository: string, token: string | null): void {
  const why =
    token === null
      ? 'You must have access to it and be authenticated to access it. Please log in.'
      : `you are not in the authorized list. Visit https://hub.example/${repository} to ask for access.`
  const link = token === null ? 'restricted.' : 'restricted and'
  refuse(response, token === null ? 401 : 403, 'GatedRepo', `Access to model ${repository} is ${link} ${why}`)
}

function refuse(response: ServerResponse, status: number, code: string | null, message: string): void {
  const body = JSON.stringify({ error: message })
  const headers = { ...(code ? { 'x-error-code': code } : {}), 'x-error-message': message }
  response.writeHead(status, { ...headers, 'content-type': 'application/json' }).end(body)
}

const filesOf = (folder: string): string[] =>
  readdirSync(folder).filter((name) => statSync(join(folder, name)).isFile())
const blobOf = (path: string): string => createHash('sha1').update(readFileSync(path)).digest('hex')

function aboutOf(folder: string, id: string): object {
  const siblings = filesOf(folder).map((rfilename) => {
    const path = join(folder, rfilename)
    return { rfilename, size: statSync(path).size, blobId: blobOf(path) }
  })
  return { _id: '1', id, modelId: id, sha: commit, private: false, gated: false, tags: [], downloads: 0, siblings }
}

const treeOf = (folder: string): object =>
  filesOf(folder).map((name) => {
    const path = join(folder, name)
    return { type: 'file', path: name, size: statSync(path).size, oid: blobOf(path) }
  })

function send(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function sendFile(path: string, request: IncomingMessage, response: ServerResponse): void {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat) {
    refuse(response, 404, 'EntryNotFound', 'Entry not found')
    return
  }
  const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
  response.writeHead(from > 0 ? 206 : 200, {
    etag: `"${blobOf(path)}"`,
    'x-repo-commit': commit,
    'accept-ranges': 'bytes',
    'content-length': stat.size - from,
    ...(from > 0 ? { 'content-range': `bytes ${from}-${stat.size - 1}/${stat.size}` } : {}),
  })
  if (request.method === 'HEAD') response.end()
  else createReadStream(path, { start: from }).pipe(response)
}
