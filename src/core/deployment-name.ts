/** What a deployment is called where nobody said so: the model's name as a name that may be given, `Org/Model-7B` as `org-model-7b`. */
export const deploymentNameOf = (model: string): string =>
  model
    .toLowerCase()
    .replace(/[^a-z0-9._-]/g, '-')
    .slice(0, 63)
