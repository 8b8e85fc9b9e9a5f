"""The pages: server-rendered, the same in every runtime, since they read only through `Front`."""
