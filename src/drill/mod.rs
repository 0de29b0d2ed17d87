//! A drill: plan, one case, the whole run. The story of the product, told with the rooms below.
