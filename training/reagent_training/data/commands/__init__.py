"""The commands of `reagent data`. What a command needs is imported when it runs."""
