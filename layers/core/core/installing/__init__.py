"""Installing: how a workspace comes to a company through its platform's OAuth, and how its tokens stay fresh."""
