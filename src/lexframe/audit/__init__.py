"""The category audit: wrong labels, outliers, duplicates, categories that overlap, and the sheet that a curator fills in."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "category_audit": ["CategoryAudit", "data_digest"],
        "category_posterior": ["CategoryPosterior", "fit_posterior"],
        "category_tree": ["CategoryTree"],
        "cost": ["audit_cost"],
        "memberships.membership_audit": ["MembershipAudit", "audit_memberships"],
        "memberships.membership_posterior": ["MembershipPosterior", "fit_memberships"],
        "memberships.memberships": ["Memberships", "multi_label", "single_label", "split_labels"],
        "near_duplicates": ["DuplicateGroups", "find_duplicates"],
        "neighbor_votes": ["Neighborhood", "find_neighborhood"],
        "noise_model": ["NoiseModel"],
        "outliers": ["adjusted_p", "benjamini_hochberg", "benjamini_yekutieli", "conformal_p_values", "outlier_p_values"],
        "planting": ["PlantedCheck", "planted_check"],
        "points": ["audit_points"],
        "published.category_map": ["CategoryMap", "category_map"],
        "published.hierarchical_vectors": ["hierarchical_vectors"],
        "published.hull": ["ConvexHull2D", "convex_hull", "hull_jaccard", "overlap_area"],
        "published.hull_distance": ["HullDistances", "hull_distances", "in_hull"],
        "published.map_stability": ["HullStability", "hull_stability"],
        "published.point_map": ["PointMap", "map_points"],
        "published.recommendations": ["CategoryRecommendations", "published_recommendations"],
        "published.reconsideration": ["PublishedReconsideration", "category_extent", "published_reconsideration"],
        "relations": ["CategoryRelation"],
        "result": ["AuditResult"],
        "review.decisions": ["Decisions", "append_decisions", "load_decisions"],
        "review.review_reading": ["read_review_sheet"],
        "review.review_sheet": ["ReviewRow", "write_review_sheet"],
        "word_evidence": ["word_effects"],
    },
)
