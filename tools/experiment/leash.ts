// Loaded into every process that an experiment starts: it ends with the one that started it, however that ended. Without
// it a killed experiment would leave a run behind that computes on, and writes into the folder where the next one goes on.
process.on('disconnect', () => process.exit(1));
process.channel?.unref();
