/** Of the control plane and of the agent that it serves; nodes tell theirs when they join. */
export const version = '0.1.0'
