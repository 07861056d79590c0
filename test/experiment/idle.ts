// A process that says its number and then does nothing for as long as it is let.
console.log(process.pid);
setInterval(() => {}, 1000);
