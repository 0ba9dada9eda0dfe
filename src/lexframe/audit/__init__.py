"""The category audit: wrong labels, outliers, duplicates, categories that overlap, and the sheet that a curator fills in."""

from lexframe.audit.category_audit import CategoryAudit, data_digest
from lexframe.audit.category_map import CategoryMap, category_map
from lexframe.audit.category_posterior import CategoryPosterior, fit_posterior
from lexframe.audit.category_tree import CategoryTree
from lexframe.audit.cost import audit_cost
from lexframe.audit.decisions import Decisions, append_decisions, load_decisions
from lexframe.audit.hierarchical_vectors import hierarchical_vectors
from lexframe.audit.hull import ConvexHull2D, convex_hull, hull_jaccard, overlap_area
from lexframe.audit.hull_distance import HullDistances, hull_distances, in_hull
from lexframe.audit.map_stability import HullStability, hull_stability
from lexframe.audit.membership_audit import MembershipAudit, audit_memberships
from lexframe.audit.membership_posterior import MembershipPosterior, fit_memberships
from lexframe.audit.memberships import Memberships, multi_label, single_label, split_labels
from lexframe.audit.near_duplicates import DuplicateGroups, find_duplicates
from lexframe.audit.neighbor_votes import Neighborhood, find_neighborhood
from lexframe.audit.noise_model import NoiseModel
from lexframe.audit.outliers import adjusted_p, benjamini_hochberg, benjamini_yekutieli, conformal_p_values, outlier_p_values
from lexframe.audit.planted_check import PlantedCheck, planted_check
from lexframe.audit.point_map import PointMap, map_points
from lexframe.audit.points import AuditEncoder, audit_points
from lexframe.audit.published import PublishedRP, category_extent, rp_paper
from lexframe.audit.recommendations import CategoryRecommendations, published_recommendations
from lexframe.audit.relations import CategoryRelation
from lexframe.audit.result import AuditResult
from lexframe.audit.review_reading import read_review_sheet
from lexframe.audit.review_sheet import ReviewRow, write_review_sheet
from lexframe.audit.word_effects import word_effects

__all__ = [
    "AuditEncoder",
    "AuditResult",
    "CategoryAudit",
    "CategoryMap",
    "CategoryPosterior",
    "CategoryRecommendations",
    "CategoryRelation",
    "CategoryTree",
    "ConvexHull2D",
    "Decisions",
    "DuplicateGroups",
    "HullDistances",
    "HullStability",
    "MembershipAudit",
    "MembershipPosterior",
    "Memberships",
    "Neighborhood",
    "NoiseModel",
    "PlantedCheck",
    "PointMap",
    "PublishedRP",
    "ReviewRow",
    "adjusted_p",
    "append_decisions",
    "audit_cost",
    "audit_memberships",
    "audit_points",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "category_extent",
    "category_map",
    "conformal_p_values",
    "convex_hull",
    "data_digest",
    "find_duplicates",
    "find_neighborhood",
    "fit_memberships",
    "fit_posterior",
    "hierarchical_vectors",
    "hull_distances",
    "hull_jaccard",
    "hull_stability",
    "in_hull",
    "load_decisions",
    "map_points",
    "multi_label",
    "outlier_p_values",
    "overlap_area",
    "planted_check",
    "published_recommendations",
    "read_review_sheet",
    "rp_paper",
    "single_label",
    "split_labels",
    "word_effects",
    "write_review_sheet",
]
