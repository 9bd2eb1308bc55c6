import type { NodeView } from '../wire/views.ts'
import type { Feed, Moving } from './live-feeds.ts'
import { type FleetFeed, type FleetPiece, pieceNodes } from './live-fleet.ts'

/** One reader, as a topic sees it. */
export interface Follower {
  /** Sends it now; who has too much waiting to be read is dropped. */
  send(text: string): void
  /** Little enough waits to be read that more may be sent which could be told later. */
  readonly hasRoom: boolean
  /** Calls back once there is room, in a turn of its own: others are served between two pieces. */
  whenRoom(act: () => void): void
}

/** Those who follow a topic, and how they are told of it. */
export interface Audience extends Moving {
  readonly size: number
  /** Looks again and tells what is new. */
  look(): Promise<void>
  /** Tells the whole as of the last look, and from then on what is new. */
  welcome(follower: Follower): void
  leave(follower: Follower): void
}

/** All are told the same, at once. */
export function audienceOf(feed: Feed): Audience {
  const followers = new Set<Follower>()
  return {
    movesByItself: feed.movesByItself,
    hears: feed.hears,
    get size() {
      return followers.size
    },
    async look() {
      const news = await feed.look()
      if (!news) return
      const text = JSON.stringify(news)
      for (const follower of followers) follower.send(text)
    },
    welcome(follower) {
      follower.send(JSON.stringify(feed.whole()))
      followers.add(follower)
    },
    leave: (follower) => void followers.delete(follower),
  }
}

/** Each is told as fast as it reads; who keeps up is told the same as others, at once. */
export function fleetAudience(feed: FleetFeed): Audience {
  const followers = new Map<Follower, Owed>()
  return {
    movesByItself: feed.movesByItself,
    hears: feed.hears,
    get size() {
      return followers.size
    },
    async look() {
      for (const piece of await feed.look()) {
        const text = JSON.stringify(piece.message)
        for (const owed of followers.values()) owed.tell(piece, text)
      }
    },
    welcome: (follower) => void followers.set(follower, new Owed(follower, feed)),
    leave(follower) {
      followers.get(follower)?.end()
      followers.delete(follower)
    },
  }
}

/**
 * What one reader has yet to be told, longest waiting first: at most every node once, as it last was. The whole is owed
 * to who begins; who reads slower than things happen misses what was between, and is not dropped for it.
 */
class Owed {
  readonly #follower: Follower
  readonly #feed: FleetFeed
  readonly #nodes: Map<string, NodeView>
  /** How many of them are of the whole. They come first: what happens to one while it waits does not move it. */
  #left: number
  #hasBegun = false
  #isBehind = false
  #hasEnded = false

  constructor(follower: Follower, feed: FleetFeed) {
    this.#follower = follower
    this.#feed = feed
    this.#nodes = new Map(feed.nodes())
    this.#left = this.#nodes.size
    this.#goOn()
  }

  tell({ nodes }: FleetPiece, text: string): void {
    if (!this.#isBehind && this.#follower.hasRoom) this.#follower.send(text)
    else {
      for (const node of nodes) this.#nodes.set(node.id, node)
      if (!this.#isBehind) this.#goOn()
    }
  }

  end(): void {
    this.#hasEnded = true
    this.#nodes.clear()
  }

  #goOn(): void {
    this.#isBehind = true
    this.#follower.whenRoom(() => {
      if (this.#hasEnded) return
      const nodes = [...this.#nodes.values().take(pieceNodes)]
      for (const { id } of nodes) this.#nodes.delete(id)
      this.#left = Math.max(0, this.#left - nodes.length)
      const part = { snapshot: !this.#hasBegun, left: this.#left, nodes }
      this.#hasBegun = true
      this.#isBehind = this.#nodes.size > 0
      this.#follower.send(JSON.stringify(this.#feed.messageOf(part)))
      if (this.#isBehind) this.#goOn()
    })
  }
}
