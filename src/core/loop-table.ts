/** Every loop by its name: whether it acts. One that only watches goes on while automation is paused. */
export const loopActs = {
  launch: true,
  node: true,
  deployment: true,
  sweep: true,
  sight: false,
  health: false,
  offers: false,
  spend: false,
  samples: false,
} as const

export type LoopName = keyof typeof loopActs

/** Whether the pause holds the loop back. */
export const isHeldByPause = (loop: string): boolean => Object.hasOwn(loopActs, loop) && loopActs[loop as LoopName]
