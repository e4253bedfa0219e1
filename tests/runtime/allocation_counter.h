#pragma once
// Owns the count of heap allocations of a test process: linked in, it replaces the global operator new.
namespace fsa::test {

/// Calls of operator new so far, in all threads.
long allocation_count();

}  // namespace fsa::test
