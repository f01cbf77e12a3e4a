/** Sentences about jobs that several pages say. */

/** What a job answered, without the folders of files, for which links stand beside it. */
export const brief = (text: string) => text.replace(/(?<![^\s"'(])(?:\/[^\s/]+)+\/([^\s/]+)/g, '$1')

/** A sentence about what was sent, which lies in a folder of the studio's own; name: what that is called here. */
export const unstaged = (text: string, name: string) =>
  text.replace(/studio\/stages\/\w+(\/?)/g, (_, inside: string) => (inside ? '' : name))
