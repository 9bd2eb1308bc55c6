import type { SkyCluster, SkyRequest } from './api-answers.ts'

/** With whether it is somebody else's: such a thing is neither billed nor ended by us, whatever its name. */
export type Whose<T> = T & { readonly foreign: boolean }

/** Who we are at an API server. It takes users for what they say, but those who have a token for whose token it is. */
export class SkyIdentity {
  readonly #command: string
  readonly #ids: Set<string>

  constructor({ userId, command }: { readonly userId: string; readonly command: string }) {
    this.#command = command
    this.#ids = new Set([userId])
  }

  /** Takes what the server calls the user of a request that we posted ourselves. */
  learn({ userId }: SkyRequest): void {
    if (userId !== null) this.#ids.add(userId)
  }

  ofCluster(cluster: SkyCluster): Whose<SkyCluster> {
    // Made by this install when the server knew it by another name, before a token was given or changed.
    if (cluster.command === this.#command && cluster.userHash !== null) this.#ids.add(cluster.userHash)
    return { ...cluster, foreign: this.#isForeign(cluster.userHash) }
  }

  ofRequest(request: SkyRequest): Whose<SkyRequest> {
    return { ...request, foreign: this.#isForeign(request.userId) }
  }

  #isForeign(id: string | null): boolean {
    return id !== null && !this.#ids.has(id)
  }
}
