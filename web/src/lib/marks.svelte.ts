/** Whether the settings of marks are open; from anywhere. */
export const marks = $state({ open: false })
