// A kernel that needs a library function, which no loader provides.
extern "C" double cbrt(double);
extern "C" void kernel_entry(double* const* p, long item, void*) { (*p)[item] = cbrt((*p)[item]); }
