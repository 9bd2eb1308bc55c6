/** Kinds of token by their prefix, so that secret scanners and people can tell them apart. */
export const tokenPrefixes = {
  operator: 'fd_op_',
  join: 'fd_join_',
  node: 'fd_node_',
  key: 'fd_key_',
  gateway: 'fd_gw_',
  /** A gateway's, at the agent of one node that it calls directly. */
  direct: 'fd_direct_',
  /** A browser's, in a cookie and nowhere else. */
  session: 'fd_session_',
} as const
export type TokenKind = keyof typeof tokenPrefixes

/** The kind of a token, or null for something else altogether. */
export function tokenKind(token: string): TokenKind | null {
  const found = Object.entries(tokenPrefixes).find(([, prefix]) => token.startsWith(prefix))
  return found ? (found[0] as TokenKind) : null
}

/** Who may call: people by role, each including the ones before it; machines by their own kind of token. */
export const roles = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof roles)[number]

export const mayAct = (has: Role, needed: Role): boolean => roles.indexOf(has) >= roles.indexOf(needed)
