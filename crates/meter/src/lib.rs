//! Pure installation: hub, HAN queue, electricity meter, gas proxy function, gas meter, security core
