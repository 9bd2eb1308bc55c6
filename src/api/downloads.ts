import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Failure } from '../core/failure.ts'

interface Artefact {
  readonly file: string
  readonly sha256: string
  readonly bytes: number
}

interface Index {
  readonly version: string
  readonly artefacts: readonly Artefact[]
}

/** What a machine downloads before it can say who it is; nothing in it is secret. */
export const downloadRoutes = {
  index: { method: 'GET', path: '/downloads/agent/index.json', access: 'anyone' },
  file: { method: 'GET', path: '/downloads/agent/:version/:file', access: 'anyone' },
} as const

/** Serves the built agent. Only files that the index names are there, so a path from outside is never opened. */
export function makeDownloads(agentDir: string) {
  async function index(): Promise<Index> {
    const text = await readFile(join(agentDir, 'index.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw new Error('the index of the agent cannot be read', { cause: error })
      throw new Failure('not_found', 'No agent was built here.', { remedy: 'Run `npm run build` on the server.' })
    })
    return JSON.parse(text) as Index
  }

  async function listed(version: string, file: string): Promise<Artefact> {
    const { version: current, artefacts } = await index()
    const found = version === current ? artefacts.find((artefact) => artefact.file === file) : undefined
    if (!found) throw new Failure('not_found', 'There is no such file of the agent.')
    return found
  }

  return {
    async sendIndex(_request: FastifyRequest, reply: FastifyReply) {
      const { version, artefacts } = await index()
      const shown = artefacts.map(({ file, sha256, bytes }) => ({ file, sha256, bytes }))
      return reply.header('cache-control', 'no-cache').send({ version, artefacts: shown })
    },

    async sendFile(request: FastifyRequest, reply: FastifyReply) {
      const { version, file } = request.params as { version: string; file: string }
      const artefact = await listed(version, file)
      const etag = `"${artefact.sha256}"`
      reply.header('etag', etag).header('x-sha256', artefact.sha256).header('cache-control', 'no-cache')
      if (request.headers['if-none-match'] === etag) return reply.code(304).send()
      const path = join(agentDir, version, artefact.file)
      const { size } = await stat(path)
      reply.header('content-length', size).type('application/octet-stream')
      return reply.send(createReadStream(path))
    },
  }
}
