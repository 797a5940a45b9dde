def check_structure_set(structures, ct):
    return []
